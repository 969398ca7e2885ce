/** Lengths and ages of queues for `/metrics`: looked up when somebody asks, never twice at once, never for long. */
import type { Clock, Redis } from '../engine/ports.ts'
import { listQueues, type QueueInfo } from '../engine/store/inspect.ts'

type Seen = QueueInfo & { workflow: string }

/** A scrape does not wait longer for Redis; it then gets what was seen last. */
const lookMsMax = 2_000
/** Workflows that are looked at side by side: each look is many small questions, one after the other. */
const sideBySide = 16

export class QueueWatch {
  readonly #redis: Redis
  readonly #clock: Clock
  #seen: Seen[] = []
  #looking: Promise<void> | undefined

  constructor(redis: Redis, clock: Clock) {
    this.#redis = redis
    this.#clock = clock
  }

  async look(workflows: readonly string[]): Promise<readonly Seen[]> {
    this.#looking ??= this.#look(workflows).finally(() => {
      this.#looking = undefined
    })
    const enough = new AbortController()
    const late = this.#clock.sleep(lookMsMax, enough.signal).catch(() => undefined)
    await Promise.race([this.#looking, late])
    enough.abort()
    return this.#seen
  }

  async #look(workflows: readonly string[]): Promise<void> {
    const seen: Seen[] = []
    try {
      for (let from = 0; from < workflows.length; from += sideBySide) {
        const some = workflows.slice(from, from + sideBySide)
        seen.push(...(await Promise.all(some.map(workflow => this.#queuesOf(workflow)))).flat())
      }
      this.#seen = seen
    } catch {
      // Redis is away: readiness and the error counter tell
    }
  }
  async #queuesOf(workflow: string): Promise<Seen[]> {
    const queues = await listQueues(this.#redis, workflow, this.#clock.now())
    return queues.map(queue => ({ workflow, ...queue }))
  }
}
