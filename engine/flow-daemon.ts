/**
 * Several workflows served by one process, beside any number of other daemons on the same Redis: leases share the work
 * out between them. Once a second it gives a sign of life and asks Redis what its workflows shall be doing, one call for
 * all of them; what it is told there, each workflow's keeper obeys.
 *
 * D1 a workflow that cannot start keeps no other from running. D2 a daemon begins on its own only what never ran: what
 * is complete, stopped or paused waits for somebody's wish, whatever happens to this process.
 */
import { assert, EngineError, messageOf } from './errors.ts'
import type { FlowGraph } from './graph/flow-graph.ts'
import { limits } from './limits.ts'
import type { Pools, Ports } from './ports.ts'
import type { ReloadReport } from './run/reload.ts'
import { WorkflowKeeper, type WorkflowStatus } from './run/workflow-keeper.ts'
import { attendTo, type Told } from './store/wishes.ts'
import type { EventSink } from './trace/events.ts'
import type { RecordOf } from './trace/trace.ts'

export type DaemonOptions = {
  ports: Ports
  /** Workers for loops that ask for one; without any, all loops run in this thread. */
  pools?: Pools | undefined
  onEvent: EventSink
  /** Who this is, for people who look: `theoneeye ps`. */
  about: { host: string; version: string }
  recordOf?: RecordOf | undefined
}

export type { LoopChange, ReloadReport } from './run/reload.ts'
export type { WorkflowStatus } from './run/workflow-keeper.ts'
/** Ready: its workflows were started, Redis answers, leases are renewed, loops get on. Else why not, in words. */
export type DaemonHealth = { ready: boolean; reasons: string[] }

/** Of the reasons why it is not ready, so many are told. */
const reasonsMax = 20

export class FlowDaemon {
  readonly #options: DaemonOptions
  readonly #keepers = new Map<string, WorkflowKeeper>()
  readonly #closed = new AbortController()
  readonly #id: string
  readonly #since: number
  #attending: Promise<void> | undefined
  #told: readonly Told[] = []
  #stopping: Promise<void> | undefined
  #reloading: Promise<unknown> = Promise.resolve()
  #isOpen = false
  #answeredMs: number
  #trouble = ''

  constructor(options: DaemonOptions) {
    const { clock, random } = options.ports
    this.#options = options
    this.#id = random.nonce('daemon')
    this.#since = clock.now()
    this.#answeredMs = clock.monotonic()
  }

  /**
   * Serves these workflows. Resolves when each was tried: `status` tells of those that could not start, which are said as
   * warnings and tried again. Once only. Errors: USAGE for two workflows of one id.
   */
  async open(graphs: readonly FlowGraph[]): Promise<void> {
    assert(this.#attending === undefined, () => 'A daemon is opened once')
    refuseTwins(graphs)
    for (const graph of graphs) this.#add(graph)
    this.#attending = this.#attendForEver()
    await Promise.all([...this.#keepers.values()].map(keeper => keeper.start()))
    this.#isOpen = true
  }

  /**
   * Serves these workflows from now on: those that are new start, those that are not among them drain and stop here, and
   * of the others what changed is put in its place while the rest goes on untouched. A change that is refused leaves its
   * workflow as it was. Reloads come one after the other.
   */
  reload(graphs: readonly FlowGraph[]): Promise<ReloadReport[]> {
    const reports = this.#reloading.then(() => this.#reload(graphs))
    this.#reloading = reports.catch(() => undefined)
    return reports
  }

  /** Drains all workflows: they go on in another daemon, or when one starts again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#closed.abort()
    await Promise.all([...this.#keepers.values()].map(keeper => keeper.stop()))
    await this.#attending
    await this.#attend('leaves').catch(() => undefined)
  }

  /** Waits for nothing: leases and claims stay as they are and are recovered by whoever comes next. */
  async kill(): Promise<void> {
    this.#closed.abort()
    await Promise.all([...this.#keepers.values()].map(keeper => keeper.kill()))
  }

  status(): WorkflowStatus[] {
    return [...this.#keepers.values()].map(keeper => keeper.status())
  }

  /** Whether any workflow runs here, or is being started. */
  get isAtWork(): boolean {
    return [...this.#keepers.values()].some(keeper => keeper.isAtWork)
  }

  health(): DaemonHealth {
    const reasons: string[] = []
    if (this.#closed.signal.aborted) reasons.push('it stops')
    else if (!this.#isOpen) reasons.push('it starts: not every workflow was tried yet')
    const silentMs = this.#options.ports.clock.monotonic() - this.#answeredMs
    if (silentMs > limits.redisSilenceMs) {
      reasons.push(`Redis has not answered for ${Math.round(silentMs / 1000)} s: ${this.#trouble || 'no reply'}`)
    }
    for (const keeper of this.#keepers.values()) reasons.push(...troubles(keeper.status()))
    return { ready: reasons.length === 0, reasons: reasons.slice(0, reasonsMax) }
  }

  /**
   * Worth keeping: Redis answers, and of the loops that it shall serve at least one gets on. A service manager starts anew
   * what is not; single loops in trouble are started again here, and must not cost the others their process.
   */
  isAlive(): boolean {
    if (this.#options.ports.clock.monotonic() - this.#answeredMs > limits.redisSilenceMs) return false
    const own = this.status().flatMap(({ loops }) => loops.filter(loop => loop.served || loop.trouble !== undefined))
    return own.length === 0 || own.some(({ trouble }) => trouble === undefined)
  }

  async #reload(graphs: readonly FlowGraph[]): Promise<ReloadReport[]> {
    const wanted = new Map(graphs.map(graph => [graph.workflow.id, graph]))
    refuseTwins(graphs)
    const gone = [...this.#keepers.values()].filter(keeper => !wanted.has(keeper.id))
    const known = graphs.map(graph => this.#keepers.get(graph.workflow.id))
    for (const [i, graph] of graphs.entries()) if (known[i] === undefined) this.#add(graph)
    return await Promise.all([
      ...graphs.map((graph, i) => known[i]?.reload(graph) ?? this.#begin(graph)),
      ...gone.map(keeper => this.#drop(keeper)),
    ])
  }

  async #begin(graph: FlowGraph): Promise<ReloadReport> {
    const { id } = graph.workflow
    await this.#keepers.get(id)?.start()
    return {
      workflow: id,
      status: 'added',
      loops: graph.loops.map(loop => ({ id: loop.id, change: 'added' as const })),
    }
  }

  async #drop(keeper: WorkflowKeeper): Promise<ReloadReport> {
    const loops = keeper.status().loops.map(({ id }) => ({ id, change: 'removed' as const }))
    this.#keepers.delete(keeper.id)
    await keeper.stop()
    return { workflow: keeper.id, status: 'removed', loops }
  }

  #add(graph: FlowGraph): void {
    const { id } = graph.workflow
    const { ports, pools, onEvent, recordOf } = this.#options
    this.#keepers.set(id, new WorkflowKeeper(graph, { ports, pools, onEvent, recordOf }))
  }

  async #attendForEver(): Promise<void> {
    const { clock } = this.#options.ports
    while (!this.#closed.signal.aborted) {
      await this.#attend('stays').catch(error => {
        this.#trouble = messageOf(error)
      })
      await clock.sleep(limits.attendMs, this.#closed.signal).catch(() => undefined)
    }
  }

  async #attend(how: 'stays' | 'leaves'): Promise<void> {
    const { redis, clock } = this.#options.ports
    const keepers = [...this.#keepers.values()].map(keeper => ({ keeper, turn: keeper.turn }))
    const sign = { id: this.#id, about: how === 'stays' ? this.#about() : undefined, staleMs: limits.daemonStaleMs }
    const told = await attendTo(
      redis,
      sign,
      keepers.map(({ keeper }) => keeper.id),
      this.#told,
    )
    this.#told = told
    this.#answeredMs = clock.monotonic()
    for (const [i, { keeper, turn }] of keepers.entries()) {
      const now = told[i]
      if (now !== undefined) keeper.tend(now, turn)
    }
  }

  /** What `ps` shows of it, as JSON on one line. */
  #about(): string {
    const { ports, about } = this.#options
    return JSON.stringify({ ...about, ...ports.host.identity(), since: this.#since, workflows: this.#keepers.size })
  }
}

/** What keeps a workflow that runs here from getting on. */
function troubles({ workflow, status, loops, unrenewedMs, leaseMs }: WorkflowStatus): string[] {
  if (status !== 'running') return []
  const late = unrenewedMs > leaseMs ? [`its leases were not renewed for ${Math.round(unrenewedMs / 1000)} s`] : []
  const stuck = loops.flatMap(({ id, trouble }) =>
    trouble === undefined ? [] : [`loop "${id}" gets nowhere: ${trouble}`],
  )
  return [...late, ...stuck].map(why => `workflow "${workflow}": ${why}`)
}

function refuseTwins(graphs: readonly FlowGraph[]): void {
  const ids = new Set<string>()
  for (const { workflow } of graphs) {
    if (ids.has(workflow.id)) {
      throw new EngineError('USAGE', `Cannot serve workflow "${workflow.id}" twice: two files have this id; change one`)
    }
    ids.add(workflow.id)
  }
}
