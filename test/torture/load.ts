/** What goes in, and whether it came out: numbered items at a steady rate, and the queues in which they end. */
import { connectRedis } from '../../daemon/redis.ts'
import type { Redis } from '../../engine/ports.ts'
import { decodeEntry } from '../../engine/store/entry.ts'
import { pushToQueue } from '../../engine/store/inspect.ts'
import { keysOf } from '../../engine/store/keys.ts'
import { isTransient } from '../../engine/store/retry.ts'

export const workflowId = 'torture'
/** The order in which items pass: `done` ends a chain of single replicas, `many` a loop of two. */
export const loops = ['a', 'b', 'c', 'd'] as const

const pool = (name: string, replicas = 1) => ({ pool: name, replicas })
const node = (id: string, type: string, form: object = {}) => ({ id, type, data: { form } })
const edge = (source: string, target: string) => ({ id: `${source}-${target}`, source, target })

/** Loops in all three pools; what a writes goes to b and c, what b writes to d. A webhook, since its loop never completes. */
export const workflow = {
  id: workflowId,
  settings: {
    queues: { max_length: 0 },
    loops: { a: pool('async'), b: pool('thread'), c: pool('process', 2), d: pool('process') },
  },
  nodes: [
    node('a', 'webhook-producer', { webhook_id: 'load' }),
    node('number', 'data-transformer', {
      output_template: '{"n": "{{ data.n }}", "sum": "{{ data.n | set_runtime(\'last\', data.n) }}"}',
    }),
    node('a-out', 'queue-writer'),
    node('b', 'queue-reader'),
    node('b-out', 'queue-writer'),
    node('c', 'queue-reader'),
    node('c-out', 'queue-writer', { queue_name: 'many' }),
    node('d', 'queue-reader'),
    node('d-out', 'queue-writer', { queue_name: 'done' }),
  ],
  edges: [
    edge('a', 'number'),
    edge('number', 'a-out'),
    edge('a-out', 'b'),
    edge('a-out', 'c'),
    edge('b', 'b-out'),
    edge('b-out', 'd'),
    edge('c', 'c-out'),
    edge('d', 'd-out'),
  ],
}

const tickMs = 50

export class Load {
  readonly #redis: Redis
  readonly #perSecond: number
  #sent = 0
  #goesOn = true
  #running: Promise<void> = Promise.resolve()

  private constructor(redis: Redis, perSecond: number) {
    this.#redis = redis
    this.#perSecond = perSecond
  }

  static async open(redisUrl: string, perSecond: number): Promise<Load> {
    return new Load(await connectRedis(redisUrl), perSecond)
  }

  get sent(): number {
    return this.#sent
  }

  start(): void {
    this.#running = this.#send()
  }

  /** Resolves when everything it wanted to send is in. */
  async stop(): Promise<void> {
    this.#goesOn = false
    await this.#running
  }

  /** Finished iterations of each loop, over its replicas; undefined while Redis is away. */
  async progress(): Promise<number[] | undefined> {
    const keys = keysOf(workflowId)
    const count = async (loop: string, replica: number): Promise<number> =>
      Number((await this.#redis.hget(keys.replica(`${loop}:${replica}`), 'iterations')) ?? 0)
    try {
      return await Promise.all(loops.map(async loop => (await count(loop, 0)) + (await count(loop, 1))))
    } catch {
      return undefined
    }
  }

  async lengthOf(queue: string): Promise<number> {
    return await this.#redis.llen(keysOf(workflowId).queue(queue))
  }

  /** The numbers in a queue, in its order. */
  async numbersIn(queue: string): Promise<number[]> {
    const numbers: number[] = []
    const chunk = 5_000
    for (let at = 0; ; at += chunk) {
      const entries = await this.#redis.lrange(keysOf(workflowId).queue(queue), at, at + chunk - 1)
      numbers.push(...entries.map(entry => decodeEntry(entry).item.data.n as number))
      if (entries.length < chunk) return numbers
    }
  }

  async deadLetters(): Promise<number> {
    return Object.keys(await this.#redis.hgetall(keysOf(workflowId).deadLetters)).length
  }

  close(): Promise<void> {
    return this.#redis.close()
  }

  async #send(): Promise<void> {
    const startedMs = performance.now()
    while (this.#goesOn) {
      const due = Math.floor(((performance.now() - startedMs) / 1000) * this.#perSecond)
      const items = Array.from({ length: Math.min(500, due - this.#sent) }, (_, i) => ({ n: this.#sent + i + 1 }))
      if (items.length > 0) await this.#push(items)
      await new Promise(resolve => setTimeout(resolve, tickMs))
    }
  }

  /** Until Redis takes it; sent again with the same name, it changes nothing. */
  async #push(items: { n: number }[]): Promise<void> {
    const origin = { nonce: `load-${this.#sent}`, now: Date.now() }
    for (;;) {
      try {
        await pushToQueue(this.#redis, { workflow: workflowId, queue: 'webhook_load' }, items, origin)
        this.#sent += items.length
        return
      } catch (error) {
        if (!isTransient(error)) throw error
        await new Promise(resolve => setTimeout(resolve, tickMs))
      }
    }
  }
}

/** What is wrong with the numbers of a queue; undefined when each of 1 … n is there once (and, asked for, in order). */
export function faultOf(numbers: readonly number[], n: number, order: 'in order' | 'in any order'): string | undefined {
  const seen = new Uint8Array(n + 1)
  let [doubled, disordered] = [0, 0]
  for (const [i, number] of numbers.entries()) {
    if (seen[number] === 1) doubled += 1
    seen[number] = 1
    if (i > 0 && number < (numbers[i - 1] as number)) disordered += 1
  }
  let lost = 0
  for (let number = 1; number <= n; number++) if (seen[number] === 0) lost += 1
  if (order === 'in any order') disordered = 0
  if (lost + doubled + disordered === 0) return undefined
  return `${lost} lost, ${doubled} doubled, ${disordered} out of order`
}
