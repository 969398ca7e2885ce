import { describe, expect, it } from 'vitest'
import { loadPlainly } from '../../sim/crew.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { story } from '../../sim/report.ts'
import { reportHtml } from '../../sim/report-html.ts'
import { readTimeline } from '../../sim/report-marks.ts'
import { explain } from '../../sim/seed-run.ts'
import { fault, planOf, twoLoops } from './support.ts'

const failure = { kind: 'invariant', invariant: 'fifo', expected: '<a> before b', seen: 'b & a', at: 1_500 } as const

/** A whole life with one crash, told as if something had gone wrong in it. */
async function foundOf() {
  const plan = planOf(twoLoops(3), [fault('crash-applied', 'commit in 1')])
  const subject = await loadPlainly(plan)
  const tools = { startEngine: startFlowEngine, load: loadPlainly }
  return await explain({ subject, plan, failure, shrinks: 'as it is' }, tools)
}

describe('the timeline', () => {
  it('has a lane per daemon, loop and queue, and marks what happened there', async () => {
    const { lanes, marks, bars, isWhole } = readTimeline((await foundOf()).lines)
    expect(isWhole).toBe(true)
    for (const lane of ['daemon 1', 'loop count', 'loop in', 'queue done', 'taken by in']) {
      expect(lanes).toContain(lane)
    }
    const at = (lane: string, kind: string) => marks.filter(mark => mark.lane === lane && mark.kind === kind)
    expect(at('queue done', 'in')).toHaveLength(3)
    expect(at('', 'fault').map(({ title }) => title)).toEqual([
      'crash-applied at commit of "in" no. 1: the daemon dies when its operation is applied and the reply not yet there',
    ])
    const lives = bars.filter(({ lane }) => lane === 'daemon 1').map(({ how }) => how)
    expect(lives).toEqual(['cut', 'done'])
    const iterations = bars.filter(({ lane, how }) => lane === 'loop count' && how === 'done')
    expect(iterations.length).toBeGreaterThanOrEqual(3)
    for (const { ms, end } of bars) expect(end).toBeGreaterThanOrEqual(ms)
  })

  it('draws only the end of a long trace, and all of an empty one', () => {
    const lines = Array.from({ length: 4_000 }, (_, ms) => JSON.stringify({ ms, failure: 'x' }))
    expect(readTimeline(lines)).toMatchObject({ isWhole: false, from: 2_500, to: 3_999 })
    expect(readTimeline([])).toMatchObject({ isWhole: true, lanes: [], marks: [] })
  })
})

describe('the page of a failure', () => {
  it('says what broke, what led there and how to repeat it, in one file', async () => {
    const page = reportHtml(await foundOf(), 'out/w-0x1')
    for (const part of [
      '&lt;a&gt; before b',
      'b &amp; a',
      'npx theoneeye sim --plan out/w-0x1/plan.json',
      'crash-applied at commit of &quot;in&quot; no. 1',
      '<svg',
      'daemon 1 starts on machine-1, life 2',
    ]) {
      expect(page).toContain(part)
    }
    expect(page).not.toMatch(/<script|https?:|url\(|@import|NaN|undefined/)
    const shapes = [...page.matchAll(/ (?:x|y|width|height)="([^"]*)"/g)].map(([, text]) => Number(text))
    expect(shapes.length).toBeGreaterThan(50)
    expect(shapes.filter(number => !(number >= 0))).toEqual([])
    for (const tag of ['svg', 'g', 'text', 'title', 'details', 'pre', 'ul', 'ol', 'li', 'dl', 'div', 'path']) {
      const opened = page.match(new RegExp(`<${tag}[ >](?![^>]*/>)`, 'g'))?.length ?? 0
      expect([tag, opened]).toEqual([tag, page.match(new RegExp(`</${tag}>`, 'g'))?.length ?? 0])
    }
  })

  it('is a page also when there is no trace', async () => {
    const page = reportHtml({ ...(await foundOf()), failure: { ...failure, at: -1 }, lines: [] }, 'out')
    expect(page).toContain('There is no trace')
    expect(page).not.toContain('-0.001')
  })
})

describe('the story', () => {
  it('is the last ten lines that mattered, and knows daemons apart', async () => {
    const lines = story((await foundOf()).lines)
    expect(lines).toHaveLength(10)
    expect(lines.join('\n')).not.toContain('undefined')
    const more = story([
      '{"daemon":"wakes up","number":2,"ms":5}',
      '{"daemon":"failed","number":2,"code":"REDIS_DOWN","ms":6}',
      '{"healed":true,"lost":[1],"ms":7}',
    ])
    expect(more).toEqual([
      '0.005 s  daemon 2 wakes up',
      '0.006 s  daemon 2 ends: failed (REDIS_DOWN)',
      '0.007 s  faults end; gone for good: daemon 1',
    ])
  })
})
