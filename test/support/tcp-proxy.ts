/** A TCP proxy that misbehaves on command: kills sockets, swallows replies, or goes silent without closing anything. */
import { connect, createServer, type Server, type Socket } from 'node:net'

type Pair = { client: Socket; server: Socket; cut: boolean }
/** Bytes on their way in one direction, each chunk due at a time (monotonic milliseconds). */
type Lane = { to: Socket; chunks: { data: Buffer; dueMs: number }[] }

export class TcpProxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #silent = false
  #delayMs = 0
  #cutAfter: string | undefined
  /** Replies swallowed, together with their connection. */
  cuts = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer()
    const proxy = new TcpProxy(server)
    server.on('connection', client => proxy.#join(client, targetPort))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }
  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** The next request that contains `text` reaches the server; its reply and the connection are lost. */
  cutReplyTo(text: string): void {
    this.#cutAfter = text
  }
  /** Bytes go nowhere any more, in either direction; connections stay open. */
  silence(): void {
    this.#silent = true
  }
  /** New connections work again; old ones stay deaf. */
  heal(): void {
    this.#silent = false
  }
  /** From now on every chunk takes so long, in order; 0 for none. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs
  }
  killAll(): void {
    for (const pair of this.#pairs) this.#end(pair)
  }
  async close(): Promise<void> {
    this.killAll()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #join(client: Socket, targetPort: number): void {
    const pair: Pair = { client, server: connect(targetPort, '127.0.0.1'), cut: false }
    this.#pairs.add(pair)
    let deaf = false
    const lanes = { up: { to: pair.server, chunks: [] }, down: { to: client, chunks: [] } }
    client.on('data', data => {
      deaf ||= this.#silent
      if (deaf) return
      if (this.#cutAfter !== undefined && data.includes(this.#cutAfter)) {
        this.#cutAfter = undefined
        pair.cut = true
      }
      this.#pass(lanes.up, data)
    })
    pair.server.on('data', data => {
      deaf ||= this.#silent
      if (pair.cut) {
        this.cuts += 1
        this.#end(pair)
      } else if (!deaf) this.#pass(lanes.down, data)
    })
    for (const socket of [client, pair.server]) {
      socket.on('error', () => undefined)
      socket.on('close', () => this.#end(pair))
    }
  }

  #pass(lane: Lane, data: Buffer): void {
    if (this.#delayMs === 0 && lane.chunks.length === 0) return void lane.to.write(data)
    lane.chunks.push({ data, dueMs: performance.now() + this.#delayMs })
    if (lane.chunks.length === 1) this.#deliverLater(lane)
  }

  #deliverLater(lane: Lane): void {
    const [first] = lane.chunks
    if (first === undefined) return
    setTimeout(
      () => {
        lane.chunks.shift()
        lane.to.write(first.data)
        this.#deliverLater(lane)
      },
      Math.max(0, first.dueMs - performance.now()),
    )
  }

  #end(pair: Pair): void {
    pair.client.destroy()
    pair.server.destroy()
    this.#pairs.delete(pair)
  }
}
