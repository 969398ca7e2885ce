/** `theoneeye report`: what is kept of a trace of any size, and the page as somebody uses it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reportMax, summarize } from '../../sim/trace-report.ts'
import { tracePage } from '../../sim/trace-report-page.ts'
import { look } from '../support/chromium.ts'
import { errorOf } from '../support/temp-dir.ts'

const header = {
  kind: 'header',
  format: 1,
  engine: '0.1.0',
  source: 'recorded',
  workflow: { id: 'w', nodes: [], edges: [] },
  hash: 'h',
}
const where = (loop: string, n: number) => ({
  ...{ time: 1_767_225_600_000 + n, instance: 'a', run: 'run-1', loop, replica: 0, iteration: n, key: `${loop}.${n}` },
})
const iteration = (loop: string, n: number, more: object = {}) => ({
  ...{ kind: 'iteration', ...where(loop, n), prefix: `${loop}-${n}`, entry: null },
  ...{ reads: { state: {}, runtime: {} }, clock: {}, calls: [], steps: [], outcome: { as: 'ok' } },
  ...{ writes: { state: {}, runtime: {}, delays: [], pushes: [] }, ...more },
})
const commit = (loop: string, n: number) => ({ kind: 'commit', ...where(loop, n) })
const failed = {
  outcome: { as: 'failed', node: 'n', error: { name: 'Error', code: 'NODE_FAILED', message: 'no <b>' } },
}
const pushed = { writes: { state: {}, runtime: {}, delays: [], pushes: [{ at: 'n', queue: 'q' }] } }
/** What the iteration with this prefix pushed. */
const claimed = (parent: string, id: string) => ({
  entry: {
    key: `${parent}.0`,
    enqueuedAt: 0,
    suspect: false,
    charges: 0,
    queue: 'q',
    item: { id, data: {}, metadata: {} },
  },
})

async function* linesOf(lines: Iterable<object | string>): AsyncGenerator<string> {
  yield JSON.stringify(header)
  for (const line of lines) yield typeof line === 'string' ? line : JSON.stringify(line)
}

describe('summarize', () => {
  it('tells what committed, what failed, and what was never confirmed', async () => {
    const lines = [
      iteration('a', 1, pushed),
      commit('a', 1),
      iteration('a', 2),
      iteration('a', 3, failed),
      commit('a', 3),
    ]
    const { rows, lanes, iterations } = await summarize(linesOf(lines), 't')
    expect(rows.map(({ status, to, error }) => [status, to, error])).toEqual([
      ['ok', 'q', ''],
      ['lost', '', ''],
      ['failed', '', 'n: NODE_FAILED no <b>'],
    ])
    expect([iterations, lanes]).toEqual([3, [{ name: 'run-1 a:0', iterations: 3, failed: 1, committed: 2 }]])
  })

  it('keeps a bounded, even sample of what went well and all that failed, however much there is', async () => {
    const total = 3 * reportMax.rows
    const failsAt = fc.sample(fc.integer({ min: 1, max: total }), { numRuns: 50, seed: 5 })
    function* lines() {
      for (let n = 1; n <= total; n++) yield iteration('a', n, failsAt.includes(n) ? failed : {})
    }
    const { rows, lanes, oneIn, failedLeft } = await summarize(linesOf(lines()), 't')
    expect(rows.length).toBeLessThanOrEqual(reportMax.rows)
    expect(rows.length).toBeGreaterThan(reportMax.rows / 3)
    expect(rows.filter(({ status }) => status === 'failed')).toHaveLength(new Set(failsAt).size)
    expect([oneIn, failedLeft, lanes[0]?.iterations]).toEqual([4, 0, total])
    const sampled = rows.filter(({ status }) => status !== 'failed').map(each => each.iteration)
    expect(new Set(sampled.map(n => n % 4))).toEqual(new Set([0]))
  })

  it('leaves a cut-off last line out, and refuses what is no trace', async () => {
    // an empty one is what a cut-off gzip ends with
    for (const cut of ['{"kind": "iter', ''])
      expect(await summarize(linesOf([iteration('a', 1), cut]), 't')).toMatchObject({ iterations: 1, truncated: true })
    const wrong = [['{"kind": "iter', iteration('a', 1)], ['', iteration('a', 1)], [{ ...iteration('a', 1), steps: 1 }]]
    for (const lines of wrong) {
      expect(await errorOf(() => summarize(linesOf(lines), 't'))).toMatchObject({ code: 'USAGE' })
    }
  })
})

/** Types into the search field, and counts what is shown. */
const probe = `(() => {
  const search = document.getElementById('search'), rows = () => document.querySelectorAll('#rows td:first-child').length
  const type = text => { search.value = text; search.oninput(); return rows() }
  const canvas = document.getElementById('lanes')
  return {
    all: rows(), byItem: type('item-of-2'), byError: type('NODE_FAILED'), nothing: type('nowhere'),
    follow: (() => { const n = type('source-item'); return n })(),
    alone: (() => { const box = document.getElementById('follow'); box.checked = false; box.onchange(); return rows() })(),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    height: canvas.clientHeight, bold: document.querySelectorAll('#rows b').length,
    requests: performance.getEntriesByType('resource').length,
  }
})()`

describe('the page of a trace, rendered', () => {
  it('draws a lane per loop, finds items, and follows them over queues', async () => {
    const lines = [
      iteration('a', 1, { ...pushed, ...claimed('outside', 'source-item') }),
      commit('a', 1),
      iteration('a', 2, pushed),
      iteration('b', 1, claimed('a-1', 'item-of-1')),
      iteration('b', 2, claimed('a-2', 'item-of-2')),
      iteration('c', 1, { ...claimed('b-1', 'item-of-b'), ...failed }),
    ]
    const page = tracePage(await summarize(linesOf(lines), 't'), '</script><b>t.jsonl')
    const { probe: seen, picture } = await look(page, probe, { width: 1_200, height: 700 })
    expect(seen).toEqual({
      ...{ all: 5, byItem: 1, byError: 1, nothing: 0, follow: 3, alone: 1 },
      ...{ overflow: 0, height: expect.any(Number), bold: 0, requests: 0 },
    })
    expect(seen.height).toBeGreaterThan(3 * 26)
    const isRed = (x: number, y: number) =>
      picture.at(x, y).every((v, i) => Math.abs(v - ([210, 59, 59][i] as number)) < 4)
    const points = Array.from({ length: picture.width * picture.height }, (_, i) => i)
    expect(points.some(i => isRed(i % picture.width, Math.floor(i / picture.width)))).toBe(true)
  })
})
