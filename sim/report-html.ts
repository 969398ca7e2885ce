/**
 * A failure as a page for somebody who has never seen the simulator: what should hold, what was seen, a timeline with
 * the faults marked, and everything in order. One file without scripts or anything from elsewhere; details show when the
 * pointer rests on a mark.
 */
import type { Found } from './explore.ts'
import { type InvariantName, inWords } from './invariants/invariant.ts'
import { describeEvent, sentences, story } from './report.ts'
import { type Bar, type Mark, readTimeline, type Timeline } from './report-marks.ts'

const laneHeight = 34
const top = 46
const sentencesMax = 3_000

export function reportHtml({ failure, plan, original, lines }: Found, folder: string): string {
  const words = inWords[failure.invariant as InvariantName] ?? failure.expected
  const title = `${plan.name}: ${failure.invariant} does not hold`
  const faults = plan.events.map(event => `<li>${asText(describeEvent(event))}</li>`).join('\n')
  const all = sentences(lines).slice(-sentencesMax)
  const timeline =
    lines.length === 0 ? '<p>There is no trace: the run was cut off.</p>' : drawTimeline(readTimeline(lines))
  const shrunk = original.events.length - plan.events.length
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${asText(title)}</title>
<style>${css}</style>
<h1>${asText(title)}</h1>
<p>A simulated life of the workflow <b>${asText(plan.name)}</b> (seed ${asText(plan.seed)}) broke a rule after
${failure.at < 0 ? 'an unknown time' : `${failure.at / 1_000} s of simulated time`}.</p>
<dl>
<dt>What must hold</dt><dd>${asText(words)}</dd>
<dt>Expected</dt><dd><code>${asText(failure.expected)}</code></dd>
<dt>Seen</dt><dd class="seen"><code>${asText(failure.seen)}</code></dd>
<dt>Again</dt><dd><code>npx theoneeye sim --plan ${asText(folder)}/plan.json</code></dd>
</dl>
<h2>What was made to go wrong</h2>
${faults === '' ? '<p>Nothing: no fault is needed.</p>' : `<ol>${faults}</ol>`}
${shrunk > 0 ? `<p>${shrunk} other faults were tried and are not needed (original.json).</p>` : ''}
<h2>Timeline</h2>
${timeline}
<h2>The end of it</h2>
<pre>${asText(story(lines).join('\n'))}</pre>
<details><summary>Everything, in order (${all.length} lines)</summary><pre>${asText(all.join('\n'))}</pre></details>
</html>
`
}

function drawTimeline(timeline: Timeline): string {
  const { lanes, marks, bars, isWhole } = timeline
  const x = squeeze([...marks.map(({ ms }) => ms), ...bars.flatMap(({ ms, end }) => [ms, end])])
  const width = x(timeline.to) + 60
  const height = top + lanes.length * laneHeight + 8
  const y = (lane: string): number => top + lanes.indexOf(lane) * laneHeight
  const rows = lanes.map(
    (lane, i) => `<rect class="row${i % 2}" x="0" y="${y(lane)}" width="${width}" height="${laneHeight}"/>`,
  )
  const names = lanes.map(lane => `<li>${asText(lane)}</li>`).join('')
  const across = marks.filter(({ lane }) => lane === '').map(mark => drawAcross(mark, x(mark.ms), height))
  const inLanes = marks.filter(({ lane }) => lane !== '').map(mark => drawMark(mark, x(mark.ms), y(mark.lane)))
  const drawn = [
    ...rows,
    ...ticks(timeline, x),
    ...bars.map(bar => drawBar(bar, x, y(bar.lane))),
    ...inLanes,
    ...across,
  ]
  return `${legend}
${isWhole ? '' : '<p>Only the end is drawn.</p>'}
<div class="timeline"><ul class="lanes" style="padding-top:${top}px">${names}</ul>
<div class="scroll"><svg width="${width}" height="${height}" role="img" aria-label="Timeline">
${drawn.join('\n')}
</svg></div></div>`
}

const legend = `<ul class="legend">
<li><i class="k life"></i>a daemon lives</li><li><i class="k iteration"></i>an iteration</li>
<li><i class="k cut"></i>cut off, never finished</li><li><b class="in">▲</b> an item comes in</li>
<li><b class="out">▼</b> an item leaves</li><li><b class="operation">│</b> an operation on Redis</li>
<li><b class="fault">✕</b> a fault</li><li><b class="failure">█</b> where it broke</li></ul>
<p class="hint">Time runs to the right and is squeezed where nothing happens. It begins with the end: scroll left for what came before. Rest the pointer on a mark to read it.</p>`

/** Where a time is drawn: gaps grow with their logarithm. */
function squeeze(times: readonly number[]): (ms: number) => number {
  const places = new Map<number, number>()
  let [x, before] = [16, Number.NaN]
  for (const ms of [...new Set(times)].sort((a, b) => a - b)) {
    if (!Number.isNaN(before)) x += Math.round(8 + 5 * Math.log2(ms - before))
    places.set(ms, x)
    before = ms
  }
  return ms => places.get(ms) ?? x
}

const tickGap = 90

function ticks({ marks, bars }: Timeline, x: (ms: number) => number): string[] {
  const times = [...new Set([...marks, ...bars].map(({ ms }) => ms))].sort((a, b) => a - b)
  let last = Number.NEGATIVE_INFINITY
  return times.flatMap(ms => {
    if (x(ms) - last < tickGap) return []
    last = x(ms)
    return [`<text class="tick" x="${last}" y="14">${ms / 1_000} s</text><path class="tick" d="M${last} 18v6"/>`]
  })
}

function drawBar({ kind, how, ms, end, title }: Bar, x: (ms: number) => number, y: number): string {
  const [from, to] = [x(ms), x(end)]
  const words = `${title}, ${ms / 1_000} s to ${end / 1_000} s: ${how === 'cut' ? 'cut off' : how}`
  const size = `x="${from}" y="${y + 8}" width="${Math.max(3, to - from)}" height="${laneHeight - 16}"`
  return `<rect class="${kind} ${how}" ${size} rx="2"><title>${asText(words)}</title></rect>`
}

function drawMark({ kind, ms, title }: Mark, x: number, y: number): string {
  const middle = y + laneHeight / 2
  const shape = {
    in: `M${x - 5} ${middle + 5}h10l-5 -10z`,
    out: `M${x - 5} ${middle - 5}h10l-5 10z`,
    operation: `M${x - 1} ${y + 4}h2v${laneHeight - 8}h-2z`,
  }[kind as 'in' | 'out' | 'operation']
  return `<path class="${kind}" d="${shape}"><title>${ms / 1_000} s: ${asText(title)}</title></path>`
}

/** Through all lanes. */
function drawAcross({ kind, ms, title }: Mark, x: number, height: number): string {
  const words = `<title>${ms / 1_000} s: ${asText(title)}</title>`
  const [sign, w] = kind === 'fault' ? ['✕', 2] : ['█', 5]
  const line = `<rect x="${x - w / 2}" y="${top - 8}" width="${w}" height="${height - top + 4}"/>`
  return `<g class="${kind}">${words}<text x="${x - 5}" y="${top - 11}">${sign}</text>${line}</g>`
}

function asText(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replaceAll(/[&<>"']/g, char => names[char] as string)
}

const css = `
:root { color-scheme: light dark; --ink: #1c2330; --dim: #5d6778; --paper: #fff; --row: #f3f5f8; --life: #b9c7dd;
  --done: #4a7fc1; --bad: #d23b3b; --in: #23884a; --out: #8a5cc2 }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9f0; --dim: #98a2b3; --paper: #14181f; --row: #1c222c;
  --life: #3a465a; --done: #5f97dd; --bad: #ff6464; --in: #4cc27c; --out: #b48df0 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem; max-width: 100% }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem } dt { color: var(--dim) } dd { margin: 0 }
code, pre { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }
.seen code { color: var(--bad) }
.timeline { display: flex; border: 1px solid var(--life) } .scroll { overflow-x: auto; flex: 1; direction: rtl }
.lanes { list-style: none; margin: 0; padding: 0 .8rem; flex: none; max-width: 16rem }
.lanes li { height: ${laneHeight}px; line-height: ${laneHeight}px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem } .hint { color: var(--dim) }
.k { display: inline-block; width: 1.4em; height: .8em; margin-right: .3em }
svg { display: block; direction: ltr } .row0 { fill: transparent } .row1 { fill: var(--row) }
text.tick { fill: var(--dim); font-size: 11px } path.tick { stroke: var(--dim) }
.life { fill: var(--life); background: var(--life) } .iteration { fill: var(--done); background: var(--done) }
.failed { fill: var(--bad) } rect.cut { fill-opacity: .25; stroke: var(--bad); stroke-dasharray: 4 3 }
.k.cut { border: 1px dashed var(--bad) } .in { fill: var(--in); color: var(--in) } .out { fill: var(--out); color: var(--out) }
.operation { fill: var(--dim); color: var(--dim) } .fault, .failure { fill: var(--bad); color: var(--bad) }
.fault rect { opacity: .45 }
`
