/**
 * The end of a run, for people: a table of what went through each loop here, what is left in Redis, and the commands
 * that show it. Only commands that would have something to show are named.
 */
import { dirname, resolve } from 'node:path'
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import type { Redis } from '../../engine/ports.ts'
import { listQueues } from '../../engine/store/inspect.ts'
import type { RunSummary } from '../../engine/store/run-store.ts'
import type { Output } from '../output.ts'
import { systemClock } from '../system-ports.ts'
import type { RunOptions } from './run.ts'
import type { RunTally } from './run-tally.ts'
import type { Ending } from './run-until.ts'

export type Report = {
  out: Output
  file: string
  options: RunOptions
  graph: FlowGraph
  redis: Redis
  tally: RunTally
  summary: RunSummary
  status: string
  ending: Ending
}

export async function printReport(report: Report): Promise<void> {
  const { out, graph, tally, summary, status } = report
  if (out.format === 'json') return
  const headings = ['loop', 'iterations', 'items in', 'items out', 'failures', 'dead letters', 'items/s']
  const rows = graph.loops.map(({ id }) => {
    const loop = summary.loops[id]
    const counted = [loop?.iterations, loop?.items_in, loop?.items_out, loop?.failed, loop?.dead_letters]
    return [id, ...counted.map(n => n ?? 0), tally.rate(id)]
  })
  out.text()
  out.table(headings, rows)
  out.text()
  out.text(`${out.bold(status)} after ${tally.seconds().toFixed(1)} s${whyStopped(report)}`)
  await printLeft(report)
}

function whyStopped({ ending, options }: Report): string {
  switch (ending) {
    case 'idle':
      return `: there was nothing to do for ${options.untilIdle} s`
    case 'timeout':
      return `: not completed within ${options.timeout} s; run it again to go on`
    case 'interrupted':
    case 'killed':
      return '; run it again to go on'
    default:
      return ''
  }
}

async function printLeft({ out, file, options, graph, redis, summary }: Report): Promise<void> {
  const { id } = graph.workflow
  const place = placeOf(options)
  const next: [string, string][] = []
  const deadLetters = Object.values(summary.loops).reduce((sum, loop) => sum + loop.dead_letters, 0)
  if (deadLetters > 0) next.push([`dlq list ${id}${place}`, `the items that failed, and why (${deadLetters})`])
  for (const queue of await listQueues(redis, id, systemClock().now())) {
    if (queue.length === 0) continue
    next.push([`queue peek ${id} ${queue.name}${place}`, `what waits in queue ${queue.name} (${queue.length})`])
  }
  const nodes = options.nodes === undefined ? '' : ` --nodes ${options.nodes}`
  next.push([`sim ${file} --seeds 20${filesOf(file, options)}${nodes}`, 'the same workflow in a world full of faults'])
  const width = Math.max(...next.map(([command]) => command.length))
  out.text('\nTry next:')
  for (const [command, shows] of next) out.text(`  npx theoneeye ${command.padEnd(width)}  ${out.dim(shows)}`)
}

function placeOf({ redis, data }: RunOptions): string {
  if (redis !== undefined) return ' --redis …'
  return data === '.theoneeye' ? '' : ` --data ${data}`
}

/** The simulator looks beside the workflow. */
function filesOf(file: string, { files }: RunOptions): string {
  return resolve(files) === dirname(resolve(file)) ? '' : ` --files ${files}`
}
