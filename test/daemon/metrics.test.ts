/** What Prometheus sees: counted from events, bounded however many workflows there are. */
import { describe, expect, it } from 'vitest'
import { LabelSpace, Metrics } from '../../daemon/metrics.ts'
import { addBatch, BatchingMeter, type MeterBatch, meterRedis } from '../../daemon/redis-metered.ts'
import { EngineError } from '../../engine/errors.ts'
import type { Redis, Script } from '../../engine/ports.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { errorOf } from '../support/temp-dir.ts'

const at = { time: 0, workflow_id: 'w', run: 'run-1', loop: 'l', iteration: 1 }
const node = { ...at, node_id: 'n', node_type: 'log', duration: 0.02 }
const cause = { code: null, signal: 'SIGKILL', outOfMemory: true, message: null, rssBytes: 1 }
const error = { name: 'Error', code: 'NODE_FAILED', message: 'no' }

async function lines(metrics: Metrics): Promise<string[]> {
  const { body } = await metrics.text()
  return body.split('\n').filter(line => line.startsWith('theoneeye_'))
}

describe('Metrics', () => {
  it('counts events', async () => {
    const metrics = new Metrics()
    const events: EngineEvent[] = [
      { type: 'node_completed', ...node },
      { type: 'node_failed', ...node, error },
      { type: 'iteration_completed', ...at, duration: 1 },
      { type: 'iteration_completed', ...at, duration: 1 },
      { type: 'iteration_failed', ...at, duration: 1, error },
      { type: 'warning', ...at, code: 'LOOP_CRASHED', message: 'm', cause },
      { type: 'warning', ...at, code: 'LOOP_STALLED', message: 'm' },
      { type: 'loop_started', ...at },
    ]
    for (const event of events) metrics.see(event)
    expect(await lines(metrics)).toEqual(
      expect.arrayContaining([
        'theoneeye_iterations_total{workflow="w",loop="l"} 2',
        'theoneeye_iterations_failed_total{workflow="w",loop="l"} 1',
        'theoneeye_node_seconds_bucket{le="0.01",workflow="w",loop="l",node="n"} 0',
        'theoneeye_node_seconds_count{workflow="w",loop="l",node="n"} 2',
        'theoneeye_loop_restarts_total{workflow="w",loop="l"} 2',
        'theoneeye_worker_exits_total{workflow="w",loop="l"} 1',
        'theoneeye_warnings_total{code="LOOP_CRASHED"} 1',
      ]),
    )
  })

  it('shows queues as they are now', async () => {
    const metrics = new Metrics()
    metrics.setQueues([{ workflow: 'w', name: 'gone', length: 1, claimed: 0, oldest_age: 1 }])
    metrics.setQueues([{ workflow: 'w', name: 'q', length: 7, claimed: 2, oldest_age: 3.5 }])
    expect((await lines(metrics)).filter(line => line.includes('queue'))).toEqual([
      'theoneeye_queue_items{workflow="w",queue="q"} 7',
      'theoneeye_queue_claimed_items{workflow="w",queue="q"} 2',
      'theoneeye_queue_oldest_seconds{workflow="w",queue="q"} 3.5',
    ])
  })

  it('has a bounded number of series: 10,000 workflows are as many lines as 1,000', async () => {
    const count = async (workflows: number): Promise<number> => {
      const metrics = new Metrics()
      for (let i = 0; i < workflows; i++) {
        metrics.see({ type: 'iteration_completed', ...at, workflow_id: `w${i}`, duration: 1 })
        metrics.see({ type: 'node_completed', ...node, workflow_id: `w${i}` })
        metrics.see({ type: 'warning', ...at, code: `CODE_${i}`, message: 'm' })
        metrics.failed(`CODE_${i}`)
      }
      const queues = Array.from({ length: workflows }, (_, i) => {
        return { workflow: 'w', name: `q${i}`, length: 2, claimed: 1, oldest_age: i }
      })
      metrics.setQueues(queues)
      return (await lines(metrics)).length
    }
    expect(await count(10_000)).toBe(await count(1_000))
  })

  it('gets what workers measured, many at once and none twice', async () => {
    const batches: MeterBatch[] = []
    const worker = new BatchingMeter(batch => batches.push(batch))
    for (let i = 0; i < 1_500; i++) worker.call('claim', 0.002)
    worker.failed('REDIS_UNAVAILABLE')
    worker.flush()
    worker.flush()
    expect(batches.map(({ calls, failed }) => calls.length + failed.length)).toEqual([1_000, 501])
    const metrics = new Metrics()
    for (const batch of batches) addBatch(batch, metrics)
    expect(await lines(metrics)).toEqual(
      expect.arrayContaining([
        'theoneeye_redis_call_seconds_count{script="claim"} 1500',
        'theoneeye_redis_errors_total{code="REDIS_UNAVAILABLE"} 1',
      ]),
    )
  })

  it('adds up what is beyond the bound', async () => {
    const metrics = new Metrics({ loops: 1, nodes: 1 })
    for (const loop of ['a', 'b', 'c']) metrics.see({ type: 'iteration_completed', ...at, loop, duration: 1 })
    expect((await lines(metrics)).filter(line => line.startsWith('theoneeye_iterations_total'))).toEqual([
      'theoneeye_iterations_total{workflow="w",loop="a"} 1',
      'theoneeye_iterations_total{workflow="other",loop="other"} 2',
    ])
  })

  it('tells how the process does', async () => {
    const { type, body } = await new Metrics().text()
    expect(type).toContain('text/plain')
    expect(body).toMatch(/^nodejs_eventloop_lag_p99_seconds /m)
    expect(body).toMatch(/^process_resident_memory_bytes /m)
  })
})

it('LabelSpace keeps the first names', () => {
  const space = new LabelSpace(['a', 'b'], 1)
  expect(space.of('x', 'y')).toEqual({ a: 'x', b: 'y' })
  expect(space.of('x', 'z')).toEqual({ a: 'other', b: 'other' })
  expect(space.of('x', 'y')).toEqual({ a: 'x', b: 'y' })
})

it('meterRedis counts calls by script and errors by code, and changes nothing', async () => {
  const script = { name: 'commit' } as Script
  const failure = new EngineError('REDIS_UNAVAILABLE', 'gone')
  const redis = { call: async () => 7, llen: () => Promise.reject(failure) } as unknown as Redis
  const metrics = new Metrics()
  const metered = meterRedis(redis, metrics)
  expect(await metered.call(script, [], [])).toBe(7)
  expect(await errorOf(() => metered.llen('q'))).toBe(failure)
  expect(await lines(metrics)).toEqual(
    expect.arrayContaining([
      'theoneeye_redis_call_seconds_count{script="commit"} 1',
      'theoneeye_redis_errors_total{code="REDIS_UNAVAILABLE"} 1',
    ]),
  )
})
