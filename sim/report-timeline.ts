/** The timeline of a failure as a picture: lanes, bars for what lasts, marks for what happens, and how to read them. */
import { type Bar, type Mark, readTimeline, type Timeline } from './report-marks.ts'

const laneHeight = 34
const top = 46
/** A short life is stretched to so many pixels. */
const widthMin = 960
const tickGap = 90

/** `about`: the texts of the failure; the items that they name are ringed. `faults`: what each hits, in the order of the list. */
export type TimelineOptions = { about: string; faults: readonly string[] }

type Scale = (ms: number) => number

export function drawTimeline(lines: readonly string[], options: TimelineOptions): string {
  if (lines.length === 0) return '<p>There is no trace: the run was cut off.</p>'
  const timeline = readTimeline(lines)
  const { lanes, marks, bars, isWhole } = timeline
  const x = scaleOf(timeline)
  const width = x(timeline.to) + 60
  const height = top + lanes.length * laneHeight + 8
  const y = (lane: string): number => top + lanes.indexOf(lane) * laneHeight
  const rows = lanes.map(
    (lane, i) => `<rect class="row${i % 2}" x="0" y="${y(lane)}" width="${width}" height="${laneHeight}"/>`,
  )
  const inLanes = marks.filter(({ lane }) => lane !== '')
  const named = itemsNamed(inLanes, options.about)
  const drawn = [
    ...rows,
    ...ticks(timeline, x),
    ...bars.map(bar => drawBar(bar, x, y(bar.lane))),
    ...inLanes.map(mark => drawMark(mark, x(mark.ms), y(mark.lane))),
    ...inLanes.flatMap(mark => drawRing(named.indexOf(mark.key ?? ''), x(mark.ms), y(mark.lane))),
    ...marks.filter(({ lane }) => lane === '').map(mark => drawAcross(mark, { x: x(mark.ms), height, options })),
  ]
  return `${legend(named)}
${isWhole ? '' : '<p>Only the end is drawn.</p>'}
<div class="timeline"><ul class="lanes" style="padding-top:${top}px">${lanes.map(lane => nameOf(lane, timeline)).join('')}</ul>
<div class="scroll"><div><svg width="${width}" height="${height}" role="img" aria-label="Timeline">
${drawn.join('\n')}
</svg></div></div></div>`
}

export function asText(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replaceAll(/[&<>"']/g, char => names[char] as string)
}

function nameOf(lane: string, { left }: Timeline): string {
  const items = left.get(lane)
  const count = items === undefined || items < 0 ? '' : ` <span>${items} left</span>`
  return `<li>${asText(lane)}${count}</li>`
}

const letters = 'ABCDEFGH'

/** The items that these words name, in their order. */
function itemsNamed(marks: readonly Mark[], words: string): string[] {
  const keys = [...new Set(marks.map(({ key }) => key ?? ''))]
  const named = keys.filter(key => key !== '' && words.split(/[\s,;"']+/).includes(key))
  return named.sort((a, b) => words.indexOf(a) - words.indexOf(b)).slice(0, letters.length)
}

function legend(named: readonly string[]): string {
  const rings = named.map((key, i) => `<li><b class="ring">◯ ${letters[i]}</b> item ${asText(key)}</li>`)
  const ring = rings.join('')
  return `<ul class="legend">
<li><i class="k life"></i>a daemon (a process that runs loops) lives</li>
<li><i class="k iteration"></i>an iteration (one item through one loop)</li>
<li><i class="k cut"></i>cut off, never finished</li><li><b class="in">▲</b> an item comes in</li>
<li><b class="out">▼</b> an item leaves</li><li><b class="operation">│</b> an operation on Redis</li>${ring}
<li><b class="fault">✕</b> a fault, numbered as above</li><li><b class="failure">█</b> where the rule broke</li></ul>
<p class="hint">Time runs to the right, and is squeezed where nothing happens. A lane per daemon, per loop, per queue, and for
the items that a loop has taken from its queue and not yet finished. If it is wider than the page it shows the end: scroll
left for what came before. Rest the pointer on anything to read what it is.</p>`
}

/** Where a time is drawn: gaps grow with their logarithm. */
function scaleOf({ marks, bars, to }: Timeline): Scale {
  const times = [to, ...marks.map(({ ms }) => ms), ...bars.flatMap(({ ms, end }) => [ms, end])]
  const places = new Map<number, number>()
  let [x, before] = [0, Number.NaN]
  for (const ms of [...new Set(times)].sort((a, b) => a - b)) {
    if (!Number.isNaN(before)) x += Math.round(8 + 5 * Math.log2(ms - before))
    places.set(ms, x)
    before = ms
  }
  const stretch = Math.min(4, Math.max(1, widthMin / Math.max(1, x)))
  return ms => 16 + Math.round(stretch * (places.get(ms) ?? x))
}

function ticks({ marks, bars }: Timeline, x: Scale): string[] {
  const times = [...new Set([...marks, ...bars].map(({ ms }) => ms))].sort((a, b) => a - b)
  let last = Number.NEGATIVE_INFINITY
  return times.flatMap(ms => {
    if (x(ms) - last < tickGap) return []
    last = x(ms)
    return [`<text class="tick" x="${last}" y="14">${ms / 1_000} s</text><path class="tick" d="M${last} 18v6"/>`]
  })
}

function drawBar({ kind, how, ms, end, title }: Bar, x: Scale, y: number): string {
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

function drawRing(item: number, x: number, y: number): string[] {
  if (item < 0) return []
  const ring = `<circle class="ring" cx="${x}" cy="${y + laneHeight / 2}" r="10"/>`
  return [`${ring}<text class="ring" x="${x + 9 + 8 * item}" y="${y + 12}">${letters[item]}</text>`]
}

/** Through all lanes. */
function drawAcross(
  { kind, ms, title, at }: Mark,
  { x, height, options }: { x: number; height: number; options: TimelineOptions },
): string {
  const words = `<title>${ms / 1_000} s: ${asText(title)}</title>`
  const number = options.faults.indexOf(at ?? '') + 1
  const [sign, w] = kind === 'fault' ? [`✕${number > 0 ? ` ${number}` : ''}`, 2] : ['█', 5]
  const line = `<rect x="${x - w / 2}" y="${top - 8}" width="${w}" height="${height - top + 4}"/>`
  return `<g class="${kind}">${words}<text x="${x - 5}" y="${top - 11}">${sign}</text>${line}</g>`
}

export const timelineCss = `
.timeline { display: flex; border: 1px solid var(--life) } .scroll { overflow-x: auto; flex: 1; direction: rtl }
.scroll > div { width: max-content; min-width: 100%; direction: ltr }
.lanes { list-style: none; margin: 0; padding: 0 .8rem; flex: none; max-width: 18rem }
.lanes li { height: ${laneHeight}px; line-height: ${laneHeight}px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
.lanes span { color: var(--dim); font-size: 12px }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem } .hint { color: var(--dim) }
.k { display: inline-block; width: 1.4em; height: .8em; margin-right: .3em }
svg { display: block } .row0 { fill: transparent } .row1 { fill: var(--row) }
text.tick { fill: var(--dim); font-size: 11px } path.tick { stroke: var(--dim) }
.life { fill: var(--life); background: var(--life) } .iteration { fill: var(--done); background: var(--done) }
.failed { fill: var(--bad) } rect.cut { fill-opacity: .25; stroke: var(--bad); stroke-dasharray: 4 3 }
.k.cut { border: 1px dashed var(--bad) } .in { fill: var(--in); color: var(--in) } .out { fill: var(--out); color: var(--out) }
.operation { fill: var(--dim); color: var(--dim) } .fault, .failure { fill: var(--bad); color: var(--bad) }
.fault rect { opacity: .45 } .fault text { font-weight: bold } b.ring { color: var(--ring) }
text.ring { fill: var(--ring); font-size: 11px; font-weight: bold } circle.ring { fill: none; stroke: var(--ring); stroke-width: 2.5; pointer-events: none }
`
