/** What is tortured: a Redis with an append-only file, and daemons that reach it through proxies of their own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { repository } from '../support/cli.ts'
import { RedisServer } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const bin = join(repository, 'dist/daemon/bin.js')
/** As a service manager would wait before it starts one again. */
const restartMs = 300

export class Cluster {
  readonly redis: RedisServer
  readonly daemons: readonly Daemon[]
  readonly #dir: string
  /** For how long there was no Redis to work with, in all. */
  awayMs = 0

  private constructor(redis: RedisServer, daemons: readonly Daemon[], dir: string) {
    this.redis = redis
    this.daemons = daemons
    this.#dir = dir
  }

  static async start(
    workflow: object,
    { daemons, leaseSeconds, traces }: { daemons: number; leaseSeconds: number; traces: boolean },
  ) {
    const dir = mkdtempSync(join(tmpdir(), 'theoneeye-torture-'))
    for (const folder of ['workflows', 'files']) mkdirSync(join(dir, folder))
    writeFileSync(join(dir, 'workflows', 'torture.json'), JSON.stringify(workflow))
    // with `everysec` a killed server may lose what it has said yes to: it writes later while the disk is busy
    const redis = await RedisServer.start({ appendonly: 'yes', args: ['--appendfsync', 'always'] })
    const all: Daemon[] = []
    for (let number = 1; number <= daemons; number++) {
      const proxy = await TcpProxy.start(redis.port)
      const config = join(dir, `daemon-${number}.yaml`)
      const keys = [
        `redis: ${proxy.url}`,
        'listen: 127.0.0.1:0',
        `lease_seconds: ${leaseSeconds}`,
        'log: { level: info }',
        ...(traces ? ['trace: { dir: traces, keep: 10000 }'] : []),
      ]
      writeFileSync(config, `${keys.join('\n')}\n`)
      all.push(new Daemon(number, { dir, config, proxy }))
    }
    await Promise.all(all.map(daemon => daemon.start()))
    return new Cluster(redis, all, dir)
  }

  /** Kills it; resolves when it has loaded its file and answers again. */
  async restartRedis(): Promise<void> {
    const beganMs = performance.now()
    await this.redis.stop('SIGKILL')
    await this.redis.start()
    this.awayMs += performance.now() - beganMs
  }

  /** Drains all daemons; those that do not end in time are killed, which is told. */
  async stop(): Promise<string[]> {
    const ends = await Promise.all(this.daemons.map(daemon => daemon.stop()))
    return ends.flatMap((end, i) => (end === 0 ? [] : [`daemon ${i + 1} ended with ${end} instead of 0`]))
  }

  /** Replays what all daemons have recorded; what is told of it, and what is wrong with it. Once they have stopped. */
  replay(): { said: string; wrong: string[] } {
    const flags = [bin, 'replay', join(this.#dir, 'traces')]
    const { status, stdout, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8' })
    const said = `${stdout}${stderr}`.trim()
    return { said, wrong: status === 0 ? [] : [`the replay ended with ${status}`] }
  }

  async remove(): Promise<void> {
    for (const daemon of this.daemons) await daemon.remove()
    await this.redis.remove()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

type Place = { dir: string; config: string; proxy: TcpProxy }

export class Daemon {
  readonly number: number
  readonly #place: Place
  #child: ChildProcess | undefined
  #exit: Promise<number | string> = Promise.resolve(0)
  #ready: Promise<void> = Promise.resolve()
  #wanted = false
  isStopped = false
  /** The last lines of its log and of stderr, for when something is wrong. */
  readonly said: string[] = []
  starts = 0

  constructor(number: number, place: Place) {
    this.number = number
    this.#place = place
  }

  get proxy(): TcpProxy {
    return this.#place.proxy
  }
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when its loops run. It is started again whenever it ends, until `stop`. */
  async start(): Promise<void> {
    this.#wanted = true
    await this.#spawn()
  }

  /** Ends its process with a signal; resolves when it is gone. It comes back by itself. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child?.kill(signal)
    await this.#exit
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
    this.isStopped = true
  }
  resume(): void {
    this.#child?.kill('SIGCONT')
    this.isStopped = false
  }

  /** Its own child processes: workers. */
  workers(): number[] {
    return this.pid === undefined ? [] : childrenOf(this.pid)
  }

  async stop(): Promise<number | string> {
    this.#wanted = false
    this.resume()
    // one that has just been started again knows no signals yet
    await this.#ready
    const late = setTimeout(() => this.#child?.kill('SIGKILL'), 45_000)
    this.#child?.kill('SIGTERM')
    const end = await this.#exit
    clearTimeout(late)
    return end
  }

  async remove(): Promise<void> {
    this.#wanted = false
    this.#child?.kill('SIGKILL')
    await this.#exit
    await this.proxy.close()
  }

  #spawn(): Promise<void> {
    const { dir, config } = this.#place
    this.starts += 1
    const child = spawn(process.execPath, [bin, 'daemon', '--config', config], {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.isStopped = false
    const ready = new Promise<void>(resolve => {
      createInterface({ input: child.stdout }).on('line', line => {
        if (line.includes('"ready: ')) resolve()
        this.#note(line)
      })
    })
    createInterface({ input: child.stderr }).on('line', line => this.#note(line))
    this.#exit = new Promise(resolve => child.once('exit', (code, signal) => resolve(code ?? signal ?? 'nothing')))
    void this.#exit.then(async () => {
      if (!this.#wanted) return
      await new Promise(resolve => setTimeout(resolve, restartMs))
      if (this.#wanted) await this.#spawn()
    })
    this.#ready = Promise.race([ready, this.#exit.then(() => undefined)])
    return this.#ready
  }

  #note(line: string): void {
    this.said.push(line.slice(0, 600))
    if (this.said.length > 40) this.said.shift()
  }
}

/** Without `ps`, which slim images lack. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(name => parentOf(name) === pid)
    .map(Number)
}

function parentOf(name: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
    // the name in brackets may hold anything
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}
