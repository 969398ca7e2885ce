/**
 * What Prometheus sees. Counted from the engine's events and from the calls to Redis; queues are looked up when somebody
 * asks. The number of series is bounded: what comes after the first so many is counted as "other".
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { QueueInfo } from '../engine/store/inspect.ts'
import type { EngineEvent } from '../engine/trace/events.ts'
import type { RedisMeter } from './redis-metered.ts'

/** Most series of each kind. */
export const seriesMax = { loops: 200, nodes: 300, queues: 200, codes: 50 } as const

const redisSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]
const nodeSeconds = [0.001, 0.01, 0.1, 0.5, 1, 5, 30, 300]

/** Warnings after which a loop is started again. */
const restarting = new Set(['LOOP_CRASHED', 'LOOP_STALLED', 'WORKER_REFUSED'])

type Labels = Record<string, string>

export class Metrics implements RedisMeter {
  readonly #registry = new Registry()
  readonly #loops: LabelSpace
  readonly #nodes: LabelSpace
  readonly #codes = new LabelSpace(['code'], seriesMax.codes)
  readonly #completed = this.#counter('iterations_total', 'Iterations that committed', ['workflow', 'loop'])
  readonly #failed = this.#counter('iterations_failed_total', 'Iterations that failed', ['workflow', 'loop'])
  readonly #deadLetters = this.#counter('dead_letters_total', 'Items that failed', ['workflow', 'loop'])
  readonly #warnings = this.#counter('warnings_total', 'What the engine warned of, by code', ['code'])
  readonly #restarts = this.#counter('loop_restarts_total', 'Loops started again after a crash', ['workflow', 'loop'])
  readonly #workerExits = this.#counter(
    'worker_exits_total',
    'Threads and processes of a pool that ended on their own',
    ['workflow', 'loop'],
  )
  readonly #redisErrors = this.#counter('redis_errors_total', 'Calls to Redis that failed, by code', ['code'])
  readonly #redisSeconds = new Histogram({
    name: 'theoneeye_redis_call_seconds',
    help: 'From calling a script (claim, commit, …) to its answer, of this daemon and its workers',
    labelNames: ['script'],
    buckets: redisSeconds,
    registers: [this.#registry],
  })
  readonly #nodeSeconds = new Histogram({
    name: 'theoneeye_node_seconds',
    help: 'How long nodes took',
    labelNames: ['workflow', 'loop', 'node'],
    buckets: nodeSeconds,
    registers: [this.#registry],
  })
  readonly #queueItems = this.#gauge('queue_items', 'Items that wait in a queue', ['workflow', 'queue'])
  readonly #queueClaimed = this.#gauge('queue_claimed_items', 'Items that loops have claimed', ['workflow', 'queue'])
  readonly #queueAge = this.#gauge('queue_oldest_seconds', 'Age of the oldest item that waits', ['workflow', 'queue'])
  readonly #ready = this.#gauge('ready', '1 while /health/ready says so', [])
  readonly #broken = this.#gauge('broken_workflow_files', 'Workflow files that could not be loaded', [])

  constructor(bounds: { loops: number; nodes: number } = seriesMax) {
    this.#loops = new LabelSpace(['workflow', 'loop'], bounds.loops)
    this.#nodes = new LabelSpace(['workflow', 'loop', 'node'], bounds.nodes)
    collectDefaultMetrics({ register: this.#registry })
  }

  see(event: EngineEvent): void {
    if (event.type === 'node_completed' || event.type === 'node_failed') {
      const labels = this.#nodes.of(event.workflow_id, event.loop, event.node_id)
      this.#nodeSeconds.observe(labels, event.duration)
    } else if (event.type === 'iteration_completed') {
      this.#completed.inc(this.#loops.of(event.workflow_id, event.loop))
    } else if (event.type === 'iteration_failed') {
      this.#failed.inc(this.#loops.of(event.workflow_id, event.loop))
    } else if (event.type === 'dead_letter') {
      this.#deadLetters.inc(this.#loops.of(event.workflow_id, event.loop))
    } else if (event.type === 'warning') {
      const loop = this.#loops.of(event.workflow_id, event.loop ?? '')
      this.#warnings.inc(this.#codes.of(event.code))
      if (restarting.has(event.code)) this.#restarts.inc(loop)
      if (event.cause !== undefined) this.#workerExits.inc(loop)
    }
  }

  call(script: string, seconds: number): void {
    this.#redisSeconds.observe({ script }, seconds)
  }

  failed(code: string): void {
    this.#redisErrors.inc(this.#codes.of(code))
  }

  /** Replaces what is known of queues. Beyond the bound, lengths are added up and the oldest age is kept. */
  setQueues(queues: readonly (QueueInfo & { workflow: string })[]): void {
    const space = new LabelSpace(['workflow', 'queue'], seriesMax.queues)
    for (const gauge of [this.#queueItems, this.#queueClaimed, this.#queueAge]) gauge.reset()
    const oldest = new Map<Labels, number>()
    for (const { workflow, name, length, claimed, oldest_age } of queues) {
      const labels = space.of(workflow, name)
      this.#queueItems.inc(labels, length)
      this.#queueClaimed.inc(labels, claimed)
      oldest.set(labels, Math.max(oldest.get(labels) ?? 0, oldest_age ?? 0))
    }
    for (const [labels, age] of oldest) this.#queueAge.set(labels, age)
  }

  setState(state: { ready: boolean; brokenFiles: number }): void {
    this.#ready.set(state.ready ? 1 : 0)
    this.#broken.set(state.brokenFiles)
  }

  /** In the text format of Prometheus, and its content type. */
  async text(): Promise<{ type: string; body: string }> {
    return { type: this.#registry.contentType, body: await this.#registry.metrics() }
  }

  #counter(name: string, help: string, labelNames: string[]): Counter<string> {
    return new Counter({ name: `theoneeye_${name}`, help, labelNames, registers: [this.#registry] })
  }
  #gauge(name: string, help: string, labelNames: string[]): Gauge<string> {
    return new Gauge({ name: `theoneeye_${name}`, help, labelNames, registers: [this.#registry] })
  }
}

/** Labels by their values: the first so many combinations keep them, all others share "other". */
export class LabelSpace {
  readonly #names: readonly string[]
  readonly #max: number
  readonly #known = new Map<string, Labels>()
  readonly #rest: Labels

  constructor(names: readonly string[], max: number) {
    this.#names = names
    this.#max = max
    this.#rest = Object.fromEntries(names.map(name => [name, 'other']))
  }

  of(...values: readonly string[]): Labels {
    const key = values.join('\t')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.#known.size >= this.#max) return this.#rest
    const labels = Object.fromEntries(this.#names.map((name, i) => [name, values[i] ?? '']))
    this.#known.set(key, labels)
    return labels
  }
}
