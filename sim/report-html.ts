/**
 * A failure as a page for somebody who has never seen the simulator: what should hold, what was seen, a timeline with
 * the faults marked, and everything in order. One file without scripts or anything from elsewhere; details show when the
 * pointer rests on a mark.
 */

import type { JsonObject } from '../engine/json.ts'
import type { Found } from './explore.ts'
import { type InvariantName, inWords } from './invariants/invariant.ts'
import { saidOutside } from './outside.ts'
import type { Plan } from './plan.ts'
import { describeEvent, sentences, story } from './report.ts'
import { asText, drawTimeline, timelineCss } from './report-timeline.ts'

const sentencesMax = 3_000
const fileUnitsMax = 2_000

export function reportHtml({ failure, plan, original, lines }: Found, folder: string): string {
  const words = inWords[failure.invariant as InvariantName] ?? failure.expected
  const title = `${plan.name}: ${failure.invariant} does not hold`
  const all = sentences(lines).slice(-sentencesMax)
  const about = `${failure.expected} ${failure.seen}`
  const faults = plan.events.map(({ kind, args }) => `${kind} ${args.op} ${args.loop} ${args.n}`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${asText(title)}</title>
<style>${pageCss}${timelineCss}</style>
<h1>${asText(title)}</h1>
<p class="intro">The simulator of theoneeye let the workflow <b>${asText(plan.name)}</b> live in a made-up world, where time, Redis,
the network and processes are imitated and fail on purpose; the engine in it is the real one. In this life (seed ${asText(plan.seed)})
a rule was broken after ${failure.at < 0 ? 'an unknown time' : `${failure.at / 1_000} s of simulated time`}.</p>
<dl>
<dt>What must hold</dt><dd>${asText(words)}</dd>
<dt>Expected</dt><dd><code>${asText(failure.expected)}</code></dd>
<dt>Seen</dt><dd class="seen"><code>${asText(failure.seen)}</code></dd>
<dt>See it again</dt><dd><code>npx theoneeye sim --plan ${asText(folder)}/plan.json</code></dd>
</dl>
<h2>What was made to go wrong</h2>
${describeFaults(plan, original)}
<h2>When what happened</h2>
${drawTimeline(lines, { about, faults })}
<h2>The last of it, in words</h2>
<pre>${asText(story(lines).join('\n'))}</pre>
<details><summary>Everything, in order (${all.length} lines)</summary><pre>${asText(all.join('\n'))}</pre></details>
<h2>What lived</h2>
${describeWorkflow(plan)}
</html>
`
}

function describeFaults({ events }: Plan, original: Plan): string {
  const shrunk = original.events.length - events.length
  const others =
    shrunk > 0 ? `<p>${shrunk} other faults were tried with it and are not needed (they are in original.json).</p>` : ''
  const none = '<p>Nothing: it breaks without any fault. So look at the workflow itself, and at what it was given.</p>'
  const list = events.map(event => `<li>${asText(describeEvent(event))}</li>`).join('\n')
  return `${events.length === 0 ? none : `<ol>${list}</ol>`}\n${others}`
}

/** What is no file. */
const said: Record<string, string> = {
  [saidOutside.http]: 'HTTP requests were answered by these rules, the first that fits',
  [saidOutside.must]: 'The story said that this must hold in the end',
}

/** Nodes, edges and files: the little that is left of them when all is cut. */
function describeWorkflow({ workflow, files }: Plan): string {
  const { nodes, edges = [] } = workflow as { nodes?: JsonObject[]; edges?: JsonObject[] }
  if (!Array.isArray(nodes) || !Array.isArray(edges)) return '<p>See plan.json.</p>'
  const rows = nodes.map(({ id, type, data }) => {
    const out = edges.filter(({ source }) => source === id)
    const to = out.map(({ target, sourceHandle: by }) => `${by ? `${by}: ` : ''}${target}`).join(', ')
    const form = JSON.stringify((data as JsonObject | undefined)?.form ?? {})
    return `<tr><td>${asText(String(id))}<td>${asText(String(type))}<td><code>${asText(form)}</code><td>${asText(to)}`
  })
  const given = Object.entries(files).map(([name, text]) => {
    const shown = text.length > fileUnitsMax ? `${text.slice(0, fileUnitsMax)}…` : text
    return `<p>${asText(said[name] ?? `It found the file ${name}`)}:</p><pre>${asText(shown)}</pre>`
  })
  return `<table><tr><th>node<th>type<th>form<th>leads to\n${rows.join('\n')}</table>\n${given.join('\n')}`
}

/** What all pages have in common. */
export const pageCss = `
:root { color-scheme: light dark; --ink: #1c2330; --dim: #5d6778; --paper: #fff; --row: #f3f5f8; --life: #b9c7dd;
  --done: #4a7fc1; --bad: #d23b3b; --in: #23884a; --out: #8a5cc2; --ring: #e08a00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9f0; --dim: #98a2b3; --paper: #14181f; --row: #1c222c;
  --life: #3a465a; --done: #5f97dd; --bad: #ff6464; --in: #4cc27c; --out: #b48df0; --ring: #ffb340 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem; max-width: 100% }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem } .intro { max-width: 56rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem } dt { color: var(--dim) } dd { margin: 0 }
code, pre { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }
.seen code { color: var(--bad) }
table { border-collapse: collapse } th, td { text-align: left; vertical-align: top; padding: .15rem 1.2rem .15rem 0 }
th { color: var(--dim); font-weight: normal }
`
