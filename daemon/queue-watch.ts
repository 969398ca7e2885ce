/** Lengths and ages of queues for `/metrics`: looked up when somebody asks, never twice at once, never for long. */
import type { Clock, Redis } from '../engine/ports.ts'
import { listQueues, type QueueInfo } from '../engine/store/inspect.ts'

type Seen = QueueInfo & { workflow: string }

/** A scrape does not wait longer for Redis; it then gets what was seen last. */
const lookMsMax = 2_000

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
      for (const workflow of workflows) {
        const queues = await listQueues(this.#redis, workflow, this.#clock.now())
        seen.push(...queues.map(queue => ({ workflow, ...queue })))
      }
      this.#seen = seen
    } catch {
      // Redis is away: readiness and the error counter tell
    }
  }
}
