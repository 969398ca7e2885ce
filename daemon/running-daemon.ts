/**
 * The daemon of a real host, assembled: configuration, workflow files, a Redis that was looked at first, the engine, the
 * HTTP server. It reads no environment, catches no signal and never exits: that is the command's.
 *
 * H1 whatever fails while it starts, nothing is left open. H2 reloads come one after the other. H3 what is broken after a
 * reload is said, and what ran before goes on.
 */
import { hostname } from 'node:os'
import { messageOf } from '../engine/errors.ts'
import { FlowDaemon, type WorkflowStatus } from '../engine/flow-daemon.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { HostSettings } from '../engine/graph/load-workflow.ts'
import { limits } from '../engine/limits.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { Clock, Ports, Redis } from '../engine/ports.ts'
import { letRest } from '../engine/store/wishes.ts'
import type { EventSink } from '../engine/trace/events.ts'
import { changedKeys, type DaemonConfig } from './config.ts'
import { openDaemonRedis } from './daemon-redis.ts'
import { editableFolder } from './editable-folder.ts'
import { eventLog } from './event-log.ts'
import { watchFolder } from './folder-watch.ts'
import { Metrics } from './metrics.ts'
import { outgoingRules } from './outgoing-policy.ts'
import { SystemPools } from './pools.ts'
import { QueueWatch } from './queue-watch.ts'
import { meterRedis } from './redis-metered.ts'
import { sayReload } from './reload-log.ts'
import { Api } from './routes-api.ts'
import { accessPolicy, requireAnyKey } from './routes-guard.ts'
import { addHealthRoutes, type Readiness } from './routes-health.ts'
import { type HttpServer, type Routes, startServer } from './server.ts'
import { openRegistry } from './session.ts'
import { type LeveledLog, systemClock, systemFiles, systemHost, systemHttp, systemRandom } from './system-ports.ts'
import { openTraceFolder, type TraceFolder } from './trace-folder.ts'
import { version } from './version.ts'
import {
  chooseGraphs,
  isNews,
  isWorkflowFile,
  readWorkflowFolder,
  refuseAllBroken,
  type WorkflowFile,
  withoutRefused,
} from './workflow-folder.ts'

export type LaunchOptions = {
  log: LeveledLog
  /** Also gets every event of every workflow. */
  onEvent?: EventSink | undefined
  /** Nothing begins before somebody starts it, files may be edited over HTTP, and may all be broken. */
  purpose?: 'production' | 'development'
  /** Default: the nodes of the configuration are loaded. */
  registry?: NodeRegistry
}

/** `killed`: it did not drain; what was under way is recovered at the next start. */
export type DaemonEnd = 'stopped' | 'killed'

/** Beyond the workflows' own time-outs, for the last answers of Redis. */
const stopGraceMs = 5_000

/** Resolves when its loops run. Rejects with USAGE, WORKFLOW_INVALID, REDIS_… or JOURNAL_… when it cannot begin. */
export async function launchDaemon(config: DaemonConfig, options: LaunchOptions): Promise<RunningDaemon> {
  const daemon = new RunningDaemon(config, options)
  try {
    await daemon.start()
    return daemon
  } catch (error) {
    await daemon.kill()
    throw error
  }
}

export class RunningDaemon {
  /** Settles when it has stopped or was killed; never rejects. */
  readonly done: Promise<DaemonEnd>
  readonly #options: LaunchOptions
  readonly #clock: Clock = systemClock()
  readonly #metrics = new Metrics()
  readonly #ending = new AbortController()
  readonly #ended: (end: DaemonEnd) => void
  #config: DaemonConfig
  #registry: NodeRegistry | undefined
  #files: WorkflowFile[] = []
  #graphs: ReadonlyMap<string, FlowGraph> = new Map()
  /** What of Redis runs here. */
  #definitions: readonly FlowGraph[] = []
  #api: Api | undefined
  #engine: FlowDaemon | undefined
  #queues: QueueWatch | undefined
  #traces: TraceFolder | undefined
  #redis: Redis | undefined
  #server: HttpServer | undefined
  #isStarted = false
  #closeRedis: () => Promise<void> = async () => undefined
  #reloading: Promise<void> = Promise.resolve()

  constructor(config: DaemonConfig, options: LaunchOptions) {
    this.#config = config
    this.#options = options
    let ended: (end: DaemonEnd) => void = () => undefined
    this.done = new Promise(resolve => {
      ended = resolve
    })
    this.#ended = ended
  }

  /** Where it listens: `http://127.0.0.1:7878`. */
  get url(): string {
    return this.#server?.url ?? ''
  }

  /** Called once, by `launchDaemon`. */
  async start(): Promise<void> {
    // a file that is saved while it starts is taken over afterwards
    this.#watchFiles()
    const started = this.#start()
    this.#reloading = started.catch(() => undefined)
    await started
  }

  async #start(): Promise<void> {
    this.#registry = this.#options.registry ?? (await openRegistry(this.#config))
    this.#files = await this.#readFiles()
    this.#sayFiles(this.#files)
    if (!this.#isForDevelopment) refuseAllBroken(this.#files)
    this.#graphs = chooseGraphs(this.#files, new Map())
    const { engine, api } = await this.#openEngine()
    const addHealth: Routes = app => addHealthRoutes(app, this.#healthSource())
    const routes = [api.routes, addHealth]
    this.#server = await startServer(this.#config.listen, routes, this.#options.log)
    this.#definitions = await this.#definitionsNow()
    await engine.open(await this.#tame(this.#wanted(this.#graphs)))
    void this.#watchDefinitions()
    this.#isStarted = true
    this.#info(`ready: ${this.summary()}, health and metrics at ${this.url}`)
  }

  status(): WorkflowStatus[] {
    return this.#engine?.status() ?? []
  }

  /** `3 workflows: 2 running, 1 completed; broken: x.json`, for people. */
  summary(): string {
    const statuses = this.status().map(({ status }) => status)
    const counts = [...new Set(statuses)].map(
      status => `${statuses.filter(other => other === status).length} ${status}`,
    )
    const broken = this.#brokenFiles()
    const what = statuses.length === 0 ? 'no workflows' : `${count(statuses.length, 'workflow')}: ${counts.join(', ')}`
    return broken.length === 0 ? what : `${what}; broken: ${broken.join(', ')}`
  }

  readiness(): Readiness {
    const { ready, reasons } = this.#engine?.health() ?? { ready: false, reasons: ['it starts'] }
    return { ready, reasons, workflows: this.status().length, broken_files: this.#brokenFiles() }
  }

  /** Whether a service manager should keep it: see the engine. */
  isAlive(): boolean {
    return this.#engine?.isAlive() ?? true
  }

  /**
   * Takes over what has changed: workflow files, and configuration keys that may change while it runs (the others are
   * said). Unchanged loops go on untouched; a broken file is refused whole, and what it held before goes on. Never rejects.
   */
  reload(config: DaemonConfig = this.#config): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload(config)).catch(error => this.#error(error))
    return this.#reloading
  }

  /** Drains: running iterations end, then loops are handed over. Resolves when everything is closed. */
  async stop(): Promise<void> {
    if (!this.#ending.signal.aborted) {
      this.#ending.abort()
      this.#info('stopping: running iterations end first')
      const drained = new AbortController()
      void this.#killLate(drained.signal)
      const drainMs = this.#config.drain_timeout_seconds * 1_000
      await Promise.all([this.#engine?.stop(), this.#api?.drain(drainMs), this.#reloading])
      drained.abort()
      await this.#close('stopped')
    }
    await this.done
  }

  /** Waits for nothing; what was under way is recovered at the next start. */
  async kill(): Promise<void> {
    this.#ending.abort()
    this.#api?.kill()
    await this.#engine?.kill()
    await this.#close('killed')
  }

  // --- starting

  async #openEngine(): Promise<{ engine: FlowDaemon; api: Api }> {
    const { log, onEvent } = this.#options
    const opened = await openDaemonRedis(this.#config, { clock: this.#clock, log })
    const { redis: redisUrl, files: filesDir, nodes: nodesDir } = this.#config
    const outgoing = outgoingRules(this.#config)
    const [redis, meter] = [meterRedis(opened.redis, this.#metrics), this.#metrics]
    const pools = new SystemPools({ redis, redisUrl, filesDir, nodesDir, outgoing, log, meter })
    this.#closeRedis = async () => {
      await pools.close()
      await opened.redis.close()
    }
    this.#redis = redis
    await requireAnyKey(redis, this.#config)
    this.#queues = new QueueWatch(redis, this.#clock)
    const toLog = eventLog(log, this.#clock)
    const ports: Ports = {
      ...{ clock: this.#clock, random: systemRandom(), redis, host: systemHost(), log },
      http: systemHttp({ outgoing }),
      files: systemFiles(this.#config.files),
    }
    const tell: EventSink = (event, output) => {
      this.#metrics.see(event)
      toLog(event)
      this.#api?.watching.see(event, output)
      onEvent?.(event, output)
    }
    this.#traces = openTraceFolder(this.#config.trace, ports)
    const { recordOf } = this.#traces ?? {}
    const engine = new FlowDaemon({ ports, pools, about: { host: hostname(), version }, onEvent: tell, recordOf })
    this.#engine = engine
    this.#api = this.#openApi(ports, tell)
    return { engine, api: this.#api }
  }

  #openApi(ports: Ports, onEvent: EventSink): Api {
    return new Api({
      ...{ ports, onEvent, registry: this.#registry as NodeRegistry, host: this.#hostSettings() },
      recordOf: this.#traces?.recordOf,
      access: accessPolicy(this.#config),
      // a broken file goes on as what it was
      files: () => this.#files.map(file => ({ ...file, graph: this.#graphs.get(file.file) ?? file.graph })),
      status: () => this.status(),
      onChange: () => void this.#takeOverDefinitions(),
      ...(this.#isForDevelopment ? { folder: editableFolder(this.#config.workflows, () => this.reload()) } : {}),
    })
  }

  #hostSettings(): HostSettings {
    const { lease_seconds, drain_timeout_seconds } = this.#config
    return { lease_seconds, drain_timeout_seconds }
  }

  #readFiles(): Promise<WorkflowFile[]> {
    const registry = this.#registry as NodeRegistry
    return readWorkflowFolder(this.#config.workflows, { registry, host: this.#hostSettings() })
  }

  #watchFiles(): void {
    watchFolder({
      dir: this.#config.workflows,
      wants: isWorkflowFile,
      clock: this.#clock,
      signal: this.#ending.signal,
      onChange: () => void this.reload(),
      onTrouble: message => this.#options.log.write('warn', message, {}),
    })
  }

  // --- reloading

  async #reload(config: DaemonConfig): Promise<void> {
    this.#takeOver(config)
    const files = await this.#readFiles()
    this.#sayFiles(files.filter(file => isNews(file, this.#files)))
    this.#files = files
    const graphs = chooseGraphs(files, this.#graphs)
    if (this.#ending.signal.aborted) return
    const reports = (await this.#engine?.reload(await this.#tame(this.#wanted(graphs)))) ?? []
    sayReload(this.#options.log, reports)
    const refused = reports.filter(({ status }) => status === 'refused').map(({ workflow }) => workflow)
    this.#graphs = withoutRefused(graphs, this.#graphs, new Set(refused))
  }

  /** The files that run in loops, and the definitions in Redis that no file hides. */
  #wanted(files: ReadonlyMap<string, FlowGraph>): FlowGraph[] {
    const ofFiles = [...files.values()]
    const ids = new Set(ofFiles.map(({ workflow }) => workflow.id))
    const others = this.#definitions.filter(({ workflow }) => !ids.has(workflow.id))
    return [...ofFiles.filter(({ workflow }) => workflow.type === 'production'), ...others]
  }

  get #isForDevelopment(): boolean {
    return this.#options.purpose === 'development'
  }

  /** In development what never ran waits for its first start. */
  async #tame(graphs: FlowGraph[]): Promise<FlowGraph[]> {
    const ids = graphs.map(graph => graph.workflow.id)
    if (this.#isForDevelopment && this.#redis !== undefined) await letRest(this.#redis, ids)
    return graphs
  }

  /** The last ones known while Redis is away. */
  #definitionsNow(): Promise<readonly FlowGraph[]> {
    return (this.#api as Api).definitions().catch(() => this.#definitions)
  }

  /** Also those that another daemon has changed. */
  async #watchDefinitions(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await this.#clock.sleep(limits.attendMs, this.#ending.signal).catch(() => undefined)
      await this.#takeOverDefinitions()
    }
  }

  #takeOverDefinitions(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reloadDefinitions()).catch(error => this.#error(error))
    return this.#reloading
  }

  async #reloadDefinitions(): Promise<void> {
    const definitions = await this.#definitionsNow()
    const before = this.#definitions
    const isSame = definitions.length === before.length && definitions.every((graph, i) => graph === before[i])
    if (isSame || this.#ending.signal.aborted) return
    this.#definitions = definitions
    sayReload(this.#options.log, (await this.#engine?.reload(this.#wanted(this.#graphs))) ?? [])
  }

  #takeOver(config: DaemonConfig): void {
    for (const { key, takes } of changedKeys(this.#config, config)) {
      if (takes === 'restart') {
        this.#options.log.write('warn', `"${key}" has changed; that takes a restart of the daemon`, { key })
      } else {
        this.#options.log.level = config.log.level
        this.#config = { ...this.#config, log: config.log }
        this.#info(`"${key}" is now "${config.log.level}"`)
      }
    }
  }

  #brokenFiles(): string[] {
    return this.#files.filter(({ graph }) => graph === undefined).map(({ file }) => file)
  }

  #sayFiles(files: readonly WorkflowFile[]): void {
    const { log } = this.#options
    for (const { file, problems, warnings } of files) {
      for (const message of warnings) log.write('warn', `${file}: ${message}`, { file })
      if (problems.length > 0)
        log.write('error', `${file} cannot be loaded: ${problems.join('; ')}`, { file, problems })
    }
  }

  // --- health

  #healthSource() {
    return {
      readiness: async () => this.readiness(),
      metrics: async () => {
        const ids = this.#wanted(this.#graphs).map(graph => graph.workflow.id)
        this.#metrics.setQueues((await this.#queues?.look(ids)) ?? [])
        this.#metrics.setState({ ready: this.readiness().ready, brokenFiles: this.#brokenFiles().length })
        return this.#metrics.text()
      },
    }
  }

  // --- ending

  /** The engine ends its drains itself; this is for a Redis that does not answer its last calls. */
  async #killLate(drained: AbortSignal): Promise<void> {
    const drains = this.#wanted(this.#graphs).map(graph => graph.workflow.settings.drain_timeout_seconds * 1_000)
    await this.#clock.sleep(Math.max(0, ...drains) + stopGraceMs, drained).catch(() => undefined)
    if (drained.aborted) return
    this.#options.log.write('warn', 'the drain takes too long; what is under way is recovered at the next start', {})
    await this.kill()
  }

  async #close(end: DaemonEnd): Promise<void> {
    await this.#server?.close()
    await this.#traces?.close()
    await this.#closeRedis().catch(error => this.#error(error))
    if (this.#isStarted) this.#info(end === 'stopped' ? 'stopped: everything is handed over' : 'killed')
    this.#isStarted = false
    this.#ended(end)
  }

  #info(message: string): void {
    this.#options.log.write('info', message, {})
  }

  #error(error: unknown): void {
    this.#options.log.write('error', messageOf(error), {})
  }
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
