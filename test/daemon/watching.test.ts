/** Those who watch: nobody waits for them, and what is kept for them has bounds, however much happens. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { Watching, watching } from '../../daemon/watching.ts'
import type { JsonObject } from '../../engine/json.ts'
import type { Clock } from '../../engine/ports.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'

const at = { time: 0, workflow_id: 'w', run: 'run-1', loop: 'l', iteration: 1 }
const completed = { type: 'node_completed', ...at, node_id: 'n', node_type: 'log', duration: 0 } as const
const failed = { type: 'iteration_failed', ...at, duration: 0, error: { name: 'E', code: 'X', message: 'm' } } as const

/** Time goes on when the test says so. */
function bench() {
  let nowMs = 0
  let wake: () => void = () => undefined
  const ending = new AbortController()
  onTestFinished(() => ending.abort())
  const clock = {
    monotonic: () => nowMs,
    sleep: (ms: number) =>
      new Promise<void>(resolve => {
        wake = () => {
          nowMs += ms
          resolve()
        }
      }),
  } as unknown as Clock
  const watch = new Watching(clock, 'boot', ending.signal)
  const tick = async (times = 1): Promise<void> => {
    for (let i = 0; i < times; i++) {
      wake()
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  const watcher = (waiting = 0) => {
    const heard: JsonObject[] = []
    return { waiting, heard, send: (text: string) => void heard.push(JSON.parse(text) as JsonObject) }
  }
  return { watch, tick, watcher }
}

const count = (heard: readonly JsonObject[], type: string) => heard.filter(message => message.type === type).length

describe('Watching', () => {
  it('samples what happens often, tells how much it left out, and keeps what ends or fails', async () => {
    const { watch, tick, watcher } = bench()
    const one = watcher()
    watch.join('w', one)
    for (let i = 0; i < 10_000; i++) watch.see(completed, { id: 'i', data: { n: i }, metadata: {} })
    watch.see(failed)
    watch.see({ ...completed, workflow_id: 'other' })
    await tick()
    const most = (watching.clientMax * watching.everyMs) / 1_000
    expect(count(one.heard, 'node_completed')).toBe(most)
    expect(count(one.heard, 'iteration_failed')).toBe(1)
    expect(one.heard[0]).toEqual({ type: 'events_skipped', count: 10_000 - most })
    await tick()
    expect(one.heard).toHaveLength(most + 2)
  })

  it('sends many clients together not more than a few', async () => {
    const { watch, tick, watcher } = bench()
    const all = Array.from({ length: 200 }, () => watcher())
    for (const each of all) watch.join('w', each)
    for (let second = 0; second < 10; second++) {
      for (let i = 0; i < 5_000; i++) watch.see(completed)
      await tick()
    }
    const sent = all.reduce((sum, { heard }) => sum + count(heard, 'node_completed'), 0)
    expect(sent).toBeLessThanOrEqual(watching.messagesMax)
    expect(sent).toBeGreaterThan(0)
  })

  it('sends nothing to a client that does not read, until it does; others notice nothing', async () => {
    const { watch, tick, watcher } = bench()
    const [quick, slow] = [watcher(), watcher(watching.waitingMax + 1)]
    for (const each of [quick, slow]) watch.join('w', each)
    for (let i = 0; i < 50; i++) {
      watch.see(completed)
      await tick()
    }
    expect([quick.heard.length, slow.heard.length]).toEqual([50, 0])
    slow.waiting = 0
    watch.see(failed)
    await tick()
    expect(slow.heard).toMatchObject([{ type: 'events_skipped', count: 50 }, { type: 'iteration_failed' }])
  })

  it('remembers a bounded history for those who come back, for a while', async () => {
    const { watch, tick, watcher } = bench()
    const first = watcher()
    const leave = watch.join('w', first)
    for (let i = 0; i < watching.historyMax + 50; i++) {
      watch.see({ ...failed, iteration: i } as EngineEvent)
      await tick()
    }
    leave()
    const idAt = (i: number) => first.heard[i]?.event_id as string
    const again = watcher()
    const leaveAgain = watch.join('w', again, idAt(first.heard.length - 3))
    expect(again.heard.map(({ event_id }) => event_id)).toEqual([
      idAt(first.heard.length - 2),
      idAt(first.heard.length - 1),
    ])
    const upToDate = watcher()
    watch.join('w', upToDate, idAt(first.heard.length - 1))()
    const late = watcher()
    watch.join('w', late, idAt(3))()
    expect([upToDate.heard, late.heard]).toEqual([[], [{ type: 'events_lost', after: idAt(3) }]])
    leaveAgain()
    await tick(watching.historyMs / watching.everyMs + 2)
    const stranger = watcher()
    watch.join('w', stranger, idAt(first.heard.length - 1))
    expect(stranger.heard).toMatchObject([{ type: 'events_lost' }])
  })

  it('shows outputs up to a size', async () => {
    const { watch, tick, watcher } = bench()
    const one = watcher()
    watch.join('w', one)
    watch.see(completed, { id: 'i', data: { text: 'x'.repeat(watching.outputMax) }, metadata: {} })
    watch.see(completed, { id: 'i', data: { text: 'short' }, metadata: {} })
    watch.see(completed)
    await tick()
    expect(one.heard.map(({ output_data, output_too_large = false }) => [output_data, output_too_large])).toEqual([
      [null, true],
      [{ text: 'short' }, false],
      [null, false],
    ])
  })
})
