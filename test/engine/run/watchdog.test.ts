import { describe, expect, test } from 'vitest'
import { limits } from '../../../engine/limits.ts'
import { Backoff } from '../../../engine/run/backoff.ts'
import { describeExit, type WorkerHealth } from '../../../engine/run/pool-protocol.ts'
import { readPulse } from '../../../engine/run/pulse.ts'
import { judge } from '../../../engine/run/watchdog.ts'

const well: WorkerHealth = { silentMs: 0, blockedMs: 0, overdueMs: 0, work: 'none', idleMs: 0, rssBytes: null }
const bounds = { rssBytesMax: 100, idleMsMax: limits.idleMsMax }

describe('judge', () => {
  const fine: [string, Partial<WorkerHealth>][] = [
    ['nothing to do', {}],
    ['waits on purpose', { idleMs: -5_000 }],
    ['has been silent as long as it may', { silentMs: limits.workerSilenceMsMax }],
    ['a node is at work for long', { work: 'timed', idleMs: 10 * limits.idleMsMax, blockedMs: 3_600_000 }],
    ['a delay is at work for long', { work: 'untimed', idleMs: 10 * limits.idleMsMax }],
    ['a node is hardly late', { work: 'timed', overdueMs: limits.hardTimeoutGraceMs }],
    ['as much memory as it may have', { rssBytes: 100 }],
  ]
  test.each(fine)('lets it be: %s', (_what, seen) => expect(judge({ ...well, ...seen }, bounds)).toBeUndefined())

  const bad: [string, Partial<WorkerHealth>, 'blame' | 'spare'][] = [
    ['nothing was heard of it', { silentMs: limits.workerSilenceMsMax + 1 }, 'blame'],
    ['a node blocks it', { work: 'timed', overdueMs: limits.hardTimeoutGraceMs + 1 }, 'blame'],
    ['its event loop has not turned', { work: 'untimed', blockedMs: limits.nodeTimeoutMs * 2 }, 'blame'],
    ['it neither polled nor committed', { idleMs: limits.idleMsMax + 1 }, 'spare'],
    ['its memory grew', { rssBytes: 101 }, 'blame'],
  ]
  test.each(bad)('ends it when %s', (why, seen, blame) => {
    const verdict = judge({ ...well, ...seen }, bounds)
    expect(verdict?.why).toContain(why)
    expect(verdict?.blame).toBe(blame)
  })
})

describe('Backoff', () => {
  test('doubles from a second to thirty, and gives up', () => {
    const backoff = new Backoff(3)
    const pauses = Array.from({ length: limits.crashesMax + 1 }, () => backoff.crashed())
    expect(pauses.slice(0, 7)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    expect(pauses.at(-1)).toBe('given up')
    expect(pauses.filter(pause => pause === 'given up')).toHaveLength(1)
  })
  test('begins anew after progress', () => {
    const backoff = new Backoff(3)
    for (let i = 0; i < 5; i++) backoff.crashed()
    backoff.progressed()
    expect(backoff.crashed()).toBe(1_000)
  })
  test('does not give up before an item may be poison', () => {
    const backoff = new Backoff(50)
    const pauses = Array.from({ length: 100 }, () => backoff.crashed())
    expect(pauses).not.toContain('given up')
  })
})

describe('readPulse', () => {
  test.each([
    [
      { progressMs: 10, untilMs: 0 },
      { work: 'none', overdueMs: 0, idleMs: 90 },
    ],
    [
      { progressMs: 10, untilMs: 70 },
      { work: 'timed', overdueMs: 30, idleMs: 90 },
    ],
    [
      { progressMs: 10, untilMs: 170 },
      { work: 'timed', overdueMs: 0, idleMs: 90 },
    ],
    [
      { progressMs: 130, untilMs: Number.POSITIVE_INFINITY },
      { work: 'untimed', overdueMs: 0, idleMs: -30 },
    ],
  ])('%o at 100', (cells, seen) => expect(readPulse(cells, 100)).toEqual(seen))
})

describe('describeExit', () => {
  const clean = { code: 0, signal: null, outOfMemory: false, message: null, rssBytes: null }
  test.each([
    [{ ...clean, code: 1, message: 'Error: no' }, 'exit code 1, Error: no'],
    [{ ...clean, code: null, signal: 'SIGKILL', rssBytes: 99 * 1024 * 1024 }, 'signal SIGKILL, last seen with 99 MB'],
    [{ ...clean, code: 134, outOfMemory: true }, 'out of memory (exit code 134)'],
  ])('%o', (cause, words) => expect(describeExit(cause)).toBe(words))
})
