/**
 * A trace as a page: a lane per loop, a dot per iteration, and what was looked for in a table. One file, nothing from
 * elsewhere; its script draws, searches, and follows an item over the queues it went through.
 */

import { pageCss } from './report-html.ts'
import { asText, drawTimeline, timelineCss } from './report-timeline.ts'
import type { TraceSummary } from './trace-report.ts'

export function tracePage(summary: TraceSummary, name: string): string {
  const { header, lanes, rows, iterations, oneIn, failedLeft, simLines, truncated } = summary
  const title = `${String(header.workflow.id)}: ${iterations} iterations`
  const left = [
    ...(oneIn > 1 ? [`Of those that went well one in ${oneIn} is kept on this page, of those that failed all.`] : []),
    ...(failedLeft > 0 ? [`${failedLeft} more that failed were left out.`] : []),
    ...(truncated ? ['The last line of the trace is cut off and was left out.'] : []),
  ]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${asText(title)}</title>
<style>${pageCss}${timelineCss}${css}</style>
<h1>${asText(title)}</h1>
<p class="intro">The trace <b>${asText(name)}</b>, recorded by theoneeye ${asText(header.engine)}. ${asText(left.join(' '))}</p>
<table><tr><th>run, loop and replica<th>iterations<th>failed<th>confirmed by Redis
${lanes.map(lane => `<tr><td>${asText(lane.name)}<td>${lane.iterations}<td>${lane.failed}<td>${lane.committed}`).join('\n')}</table>
<h2>When what happened</h2>
<p class="hint">A dot is an iteration as it ended: <i class="ok">●</i> committed, <i class="lost">●</i> never confirmed in this trace,
<i class="bad">●</i> failed. Turn the wheel to zoom, drag to move, click a dot to follow its item.</p>
<canvas id="lanes" role="img" aria-label="Timeline"></canvas>
<p><label>Search <input id="search" type="search" size="44" placeholder="item, loop, queue or error"></label>
<label><input id="follow" type="checkbox" checked> with all that came of an item</label> <span id="found"></span></p>
<table id="rows"></table>
${simLines.length === 0 ? '' : `<h2>The simulated world</h2>\n${drawTimeline(simLines, { about: '', faults: [] })}`}
<script type="application/json" id="data">${inScript({ lanes: lanes.map(lane => lane.name), rows })}</script>
<script>${script}</script>
</html>
`
}

/** As text of a script: nothing in it ends the script. */
function inScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c')
}

const css = `
canvas { display: block; width: 100%; border: 1px solid var(--life); cursor: grab } .hint { color: var(--dim) }
.ok { color: var(--done) } .lost { color: var(--ring) } .bad { color: var(--bad) } i { font-style: normal }
#rows td { font: 13px/1.5 ui-monospace, monospace; white-space: nowrap } #rows tr { cursor: pointer }
#rows td:last-child { white-space: normal; overflow-wrap: anywhere }
`

/** Runs in a browser, in a scope of its own: some names are the window's. `rows` are in the order of the trace; so is what came of an item. */
const script = `
(() => {
const { lanes, rows } = JSON.parse(document.getElementById('data').textContent)
const at = id => document.getElementById(id)
const canvas = at('lanes'), search = at('search'), follow = at('follow')
const laneHeight = 26, top = 22, left = 190, shownMost = 200
const times = rows.map(row => row.time)
const first = times.reduce((a, b) => Math.min(a, b), Infinity), last = times.reduce((a, b) => Math.max(a, b), -Infinity)
let from = first, to = Math.max(last, first + 1), hits = rows
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name)
const x = time => left + (time - from) / (to - from) * (canvas.clientWidth - left - 10)
const timeText = time => new Date(time).toISOString().slice(11, 23)
function draw() {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = top + lanes.length * laneHeight + 4
  canvas.style.height = height + 'px'; canvas.width = width * scale; canvas.height = height * scale
  const pen = canvas.getContext('2d'); pen.scale(scale, scale); pen.font = '12px system-ui'
  lanes.forEach((name, i) => {
    pen.fillStyle = color('--row'); if (i % 2) pen.fillRect(0, top + i * laneHeight, width, laneHeight)
    pen.fillStyle = color('--ink'); pen.fillText(name.slice(0, 30), 6, top + i * laneHeight + 17)
  })
  pen.fillStyle = color('--dim'); pen.fillText(timeText(from), left, 14); pen.fillText(timeText(to), width - 90, 14)
  const chosen = new Set(hits), colors = { ok: color('--done'), failed: color('--bad'), lost: color('--ring') }
  for (const row of rows) {
    const px = x(row.time); if (px < left || px > width) continue
    pen.globalAlpha = chosen.has(row) ? 1 : .12; pen.fillStyle = colors[row.status]
    pen.beginPath(); pen.arc(px, top + row.lane * laneHeight + laneHeight / 2, row.status === 'ok' ? 3 : 4.5, 0, 7); pen.fill()
  }
  pen.globalAlpha = 1
}
function find() {
  const words = search.value.trim().toLowerCase()
  const fits = row => [row.item, lanes[row.lane], row.to, row.error].some(text => text.toLowerCase().includes(words))
  hits = words === '' ? rows : rows.filter(fits)
  if (follow.checked && words !== '') {
    const prefixes = new Set(hits.map(row => row.prefix)), own = new Set(hits)
    hits = rows.filter(row => { const is = own.has(row) || prefixes.has(row.parent); if (is) prefixes.add(row.prefix); return is })
  }
  at('found').textContent = hits.length + ' of ' + rows.length + (hits.length > shownMost ? ', the first ' + shownMost + ' below' : '')
  list(); draw()
}
function list() {
  const table = at('rows'); table.replaceChildren()
  const add = (cells, tag) => { const tr = table.insertRow(); for (const text of cells) { const cell = document.createElement(tag); cell.textContent = text; tr.append(cell) } return tr }
  add(['time', 'loop', 'iteration', 'item', 'to', 'ended'], 'th')
  for (const row of hits.slice(0, shownMost)) {
    const ended = row.status === 'failed' ? row.error : row.status === 'ok' ? 'committed' : 'never confirmed'
    add([timeText(row.time), lanes[row.lane], row.iteration, row.item, row.to, ended], 'td').onclick = () => mark(row.item)
  }
}
function mark(item) { search.value = item; find() }
search.oninput = follow.onchange = find
canvas.onwheel = event => {
  event.preventDefault()
  const middle = from + (event.offsetX - left) / (canvas.clientWidth - left - 10) * (to - from), by = event.deltaY > 0 ? 1.25 : .8
  from = Math.max(first, middle - (middle - from) * by); to = Math.max(from + 1, Math.min(Math.max(last, first + 1), middle + (to - middle) * by)); draw()
}
let drag = null
canvas.onmousedown = event => { drag = { x: event.offsetX, from, to, moved: false } }
window.onmouseup = () => { drag = null }
canvas.onmousemove = event => {
  if (drag === null) return
  const by = (drag.x - event.offsetX) / (canvas.clientWidth - left - 10) * (drag.to - drag.from)
  drag.moved ||= Math.abs(drag.x - event.offsetX) > 3; from = drag.from + by; to = drag.to + by; draw()
}
canvas.onclick = event => {
  const lane = Math.floor((event.offsetY - top) / laneHeight)
  const near = rows.filter(row => row.lane === lane && Math.abs(x(row.time) - event.offsetX) < 6)
  near.sort((a, b) => Math.abs(x(a.time) - event.offsetX) - Math.abs(x(b.time) - event.offsetX))
  if (near[0] !== undefined) mark(near[0].item)
}
window.onresize = draw
find()
})()
`
