/** The page of a failure as it is seen: rendered, looked at, and measured. */
import { beforeAll, describe, expect, it } from 'vitest'
import { loadPlainly } from '../../sim/crew.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { reportHtml } from '../../sim/report-html.ts'
import { explain } from '../../sim/seed-run.ts'
import { look, type Picture, type Seen } from '../support/chromium.ts'
import { fault, planOf, twoLoops } from './support.ts'

const size = { width: 1280, height: 1100 }

/** Measures what can be seen: the boxes of the timeline and its lanes, and how far the page reaches to the right. */
const probe = `(() => {
  const box = (selector, of) => document.querySelector(selector).getBoundingClientRect()[of]
  const lanes = [...document.querySelectorAll('.lanes li')]
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    lanes: lanes.length, cut: lanes.filter(lane => lane.scrollWidth > lane.clientWidth).length,
    lanesTop: lanes[0].getBoundingClientRect().top, lanesBottom: lanes.at(-1).getBoundingClientRect().bottom,
    rowsTop: box('.row0', 'top'), rowsBottom: Math.max(...[...document.querySelectorAll('svg rect')].map(r => r.getBoundingClientRect().bottom)),
    left: box('svg', 'left'), right: box('.scroll', 'right'), requests: performance.getEntriesByType('resource').length, failure: box('g.failure rect', 'left'), fault: box('g.fault rect', 'left'),
  }
})()`

const red = [210, 59, 59]
const blue = [74, 127, 193]

function pixels({ width, height, at }: Picture, color: readonly number[]): { x: number; y: number }[] {
  const found: { x: number; y: number }[] = []
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      if (at(x, y).every((value, i) => Math.abs(value - (color[i] as number)) < 3)) found.push({ x, y })
  }
  return found
}

async function pageOf(change = (page: string) => page): Promise<Seen> {
  const plan = planOf(twoLoops(6), [fault('crash-applied', 'commit in 1')])
  const failure = { kind: 'invariant', invariant: 'fifo', expected: 'a before b', seen: 'b & a', at: 1_500 } as const
  const tools = { startEngine: startFlowEngine, load: loadPlainly }
  const found = await explain({ subject: await loadPlainly(plan), plan, failure, shrinks: 'as it is' }, tools)
  const lines = [...found.lines, JSON.stringify({ ms: 1_500, failure: 'fifo' })]
  return await look(change(reportHtml({ ...found, failure, lines }, 'out/w-0x1')), probe, size)
}

describe('the page of a failure, rendered', () => {
  let seen: Seen
  beforeAll(async () => {
    seen = await pageOf()
  })

  it('shows every lane beside its name, and no name is cut', () => {
    const { lanes, cut, lanesTop, rowsTop, lanesBottom, rowsBottom } = seen.probe as Record<string, number>
    expect({ lanes, cut }).toEqual({ lanes: 6, cut: 0 })
    expect(Math.abs((lanesTop as number) - (rowsTop as number))).toBeLessThan(2)
    expect(Math.abs((lanesBottom as number) - (rowsBottom as number))).toBeLessThan(12)
  })

  it('fits into the window, with the place where it broke in sight', () => {
    const { overflow, failure, right, left, fault: hit } = seen.probe as Record<string, number>
    expect(overflow).toBe(0)
    expect(failure).toBeLessThan(right as number)
    expect(hit).toBeGreaterThan(left as number)
    expect(hit).toBeLessThan(failure as number)
  })

  it('is a picture with a red line through all lanes and blue iterations', () => {
    const { picture, probe: at } = seen
    expect({ width: picture.width, height: picture.height }).toEqual(size)
    const lanesHeight = (at.lanesBottom as number) - (at.lanesTop as number)
    const column = pixels(picture, red).filter(({ x }) => x === Math.round((at.failure as number) + 2))
    expect(column.length).toBeGreaterThan(lanesHeight)
    const iterations = pixels(picture, blue).filter(
      ({ y }) => y > (at.lanesTop as number) && y < (at.lanesBottom as number),
    )
    expect(iterations.length).toBeGreaterThan(500)
  })

  it('asks for nothing and complains of nothing', () => {
    expect(seen.probe.requests).toBe(0)
    expect(seen.log).not.toMatch(/CONSOLE/)
  })

  it('would be caught asking, complaining, and reaching too far', async () => {
    const bad = '<img src="https://elsewhere.test/a.png"><script>console.log("hm")</script><p style="width:3000px">wide'
    const { probe: at, log } = await pageOf(page => `${page}${bad}`)
    expect(log).toMatch(/CONSOLE/)
    expect(at.requests).toBe(1)
    expect(at.overflow).toBeGreaterThan(1_000)
  })
})
