/**
 * Stands between a run and its Redis, to place a kill between the sending of a commit and its answer. It hands commands on
 * whole, one by one; once armed it catches the next commit: either Redis never gets it, or Redis carries it out (which an
 * ECHO behind it tells) and its answer is never passed on. No clock and no luck has a part in it.
 */
import { createHash } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { commit } from '../../engine/store/scripts/commit.ts'

/** `lost`: the commit does not arrive; `applied`: it does, and its answer gets lost. */
export type Catch = 'lost' | 'applied'

const commitSha = createHash('sha1').update(commit.lua).digest('hex')
const marker = 'theoneeye-kills-was-carried-out'

export class CommitProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #armed: { how: Catch; caught: () => void } | undefined

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(redisUrl: string): Promise<CommitProxy> {
    const redisPort = Number(new URL(redisUrl).port)
    const proxy = new CommitProxy(createServer(client => proxy.#join(client, connect(redisPort, '127.0.0.1'))))
    await new Promise<void>(resolve => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  /** Calls `caught` when the next commit is caught: it was sent, and will never be answered. */
  arm(how: Catch, caught: () => void): void {
    this.#armed = { how, caught }
  }

  disarm(): void {
    this.#armed = undefined
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #join(client: Socket, redis: Socket): void {
    const link: Link = { client, redis, caught: undefined }
    this.#closeTogether(client, redis)
    this.#closeTogether(redis, client)
    let unread: Buffer = Buffer.alloc(0)
    client.on('data', data => {
      unread = Buffer.concat([unread, data])
      for (let end = commandEnd(unread); end > 0; end = commandEnd(unread)) {
        this.#pass(link, unread.subarray(0, end))
        unread = unread.subarray(end)
      }
    })
    let held = ''
    redis.on('data', data => {
      if (link.caught === undefined) client.write(data)
      else held += data.toString('latin1')
      if (held.includes(marker)) link.caught?.()
    })
  }

  #closeTogether(socket: Socket, other: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      other.destroy()
    })
  }

  /** After a commit was caught nothing passes any more, in either direction. */
  #pass(link: Link, command: Buffer): void {
    if (link.caught !== undefined) return
    const caught = isCommit(command) ? this.#armed : undefined
    if (caught?.how !== 'lost') link.redis.write(command)
    if (caught === undefined) return
    this.#armed = undefined
    link.caught = caught.caught
    if (caught.how === 'lost') caught.caught()
    else link.redis.write(`*2\r\n$4\r\nECHO\r\n$${marker.length}\r\n${marker}\r\n`)
  }
}

type Link = { client: Socket; redis: Socket; caught: (() => void) | undefined }

/** By its digest, or the first time by its text. */
function isCommit(command: Buffer): boolean {
  return command.subarray(0, 200).includes(commitSha) || command.includes(commit.lua)
}

/** Where the first command ends (`*N` and then N times `$LENGTH` and bytes); 0 when it is not whole yet. */
function commandEnd(bytes: Buffer): number {
  const line = (from: number): { value: number; end: number } | undefined => {
    const end = bytes.indexOf('\r\n', from)
    return end < 0 ? undefined : { value: Number(bytes.toString('latin1', from + 1, end)), end: end + 2 }
  }
  const head = line(0)
  if (head === undefined) return 0
  let at = head.end
  for (let left = head.value; left > 0; left--) {
    const length = line(at)
    if (length === undefined) return 0
    at = length.end + length.value + 2
  }
  return at <= bytes.length ? at : 0
}
