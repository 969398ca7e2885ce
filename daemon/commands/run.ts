/**
 * `run FILE`: runs a workflow in this process until it completes, or until something asks it to stop. What the engine
 * decides it decides alone; here are only the reasons to stop it (Ctrl-C, `--until-idle`, `--timeout`, a reader that
 * went away), and the exit code.
 */
import { Option } from 'commander'
import { EngineError } from '../../engine/errors.ts'
import { FlowEngine } from '../../engine/flow-engine.ts'
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import type { Pool } from '../../engine/node/node.ts'
import type { Pools, Ports, Redis } from '../../engine/ports.ts'
import type { RunSummary } from '../../engine/store/run-store.ts'
import type { Output } from '../output.ts'
import { type CommonOptions, openWorkflow, withRedis } from '../session.ts'
import { systemClock, systemFiles, systemHost, systemHttp, systemRandom } from '../system-ports.ts'
import { openTraceFile, type TraceFile } from '../trace-file.ts'
import { type AddCommand, seconds, withDataOption, withJson, withNodes, withRedisOption } from './command.ts'
import { runApi } from './run-api.ts'
import { printReport } from './run-report.ts'
import { RunTally } from './run-tally.ts'
import { type Ending, waitForEnd } from './run-until.ts'

export type RunOptions = CommonOptions & {
  files: string
  pool?: Pool
  timeout?: number
  untilIdle?: number
  fresh?: boolean
  adopt?: boolean
  allowDeadLetters?: boolean
  input?: string
  trace?: string
}

export const addRun: AddCommand = (program, register) => {
  const command = program
    .command('run')
    .description('run a workflow until it completes, or until Ctrl-C (drains; a second one kills)')
    .argument('<file>', 'a workflow file (JSON)')
    .option('--files <dir>', 'the folder that file nodes read and write in', './files')
    .addOption(
      new Option('--pool <pool>', 'where all loops run, whatever the workflow says').choices([
        'async',
        'thread',
        'process',
      ]),
    )
    .option('--timeout <seconds>', 'drain when it takes longer, and fail', seconds)
    .option('--until-idle <seconds>', 'drain when there was nothing to do for so long', seconds)
    .addOption(new Option('--fresh', 'discard the state and queues of earlier runs').conflicts('adopt'))
    .option('--adopt', 'resume although the workflow file has changed')
    .option('--allow-dead-letters', 'succeed although items failed')
    .option('--input <json>', 'the input of an api workflow, JSON or @FILE')
    .option('--trace <file>', 'record a trace, for replay')
  register(withNodes(withDataOption(withRedisOption(withJson(command)))), (out, [file], options) =>
    run(out, file, options),
  )
}

async function run(out: Output, file: string, options: RunOptions): Promise<number> {
  const graph = await openWorkflow(file, options)
  if (graph.workflow.type === 'api') return runRequest(out, graph, options)
  if (options.input !== undefined) throw inputForNobody(graph)
  const job = { out, file, options, graph }
  return withRedis(options, out, redis => withPools(redis, job, pools => runOn({ redis, pools }, job)))
}

function runRequest(out: Output, graph: FlowGraph, options: RunOptions): Promise<number> {
  const { input, timeout } = options
  return withRedis(options, out, async redis => {
    const trace = traceOf(out, graph, options)
    const more = { record: trace?.record, ...(timeout === undefined ? {} : { timeout }) }
    try {
      return await runApi({ out, graph, ports: portsOf(redis, out, options), input, ...more })
    } finally {
      trace?.close()
    }
  })
}

function traceOf(out: Output, graph: FlowGraph, { trace }: RunOptions): TraceFile | undefined {
  return trace === undefined ? undefined : openTraceFile(trace, graph, message => out.note(`warning: ${message}`))
}

function inputForNobody({ workflow }: FlowGraph): EngineError {
  const what = `workflow "${workflow.id}" is of type "${workflow.type}"`
  return new EngineError('USAGE', `Cannot use --input: ${what}; only workflows of type "api" take one`)
}

type Job = { out: Output; file: string; options: RunOptions; graph: FlowGraph }

async function runOn({ redis, pools }: { redis: Redis; pools: Pools | undefined }, job: Job): Promise<number> {
  const { out, options, graph } = job
  const clock = systemClock()
  const tally = new RunTally(graph, clock)
  const trace = traceOf(out, graph, options)
  const engine = new FlowEngine({
    graph,
    ports: portsOf(redis, out, options),
    pools,
    pool: options.pool,
    recordOf: trace && (() => trace.record),
    onEvent: event => {
      out.json(event)
      tally.add(event)
      if (event.type === 'warning') out.note(`warning: ${event.message}`)
    },
  })
  const started = await engine.start({ mode: modeOf(options) })
  tally.begin()
  announce(job, started)
  const ending = await waitForEnd(engine, { out, clock, tally, ...options })
  const { status, error } = await engine.done
  trace?.close()
  const summary = await engine.summary().catch(() => undefined)
  if (error !== undefined) out.error(new EngineError('NODE_FAILED', `The workflow failed: ${error.message}`))
  const duration = tally.seconds()
  const { id } = graph.workflow
  out.json({ type: 'summary', workflow_id: id, run: started.run, status, duration, loops: countsOf(summary) })
  // Without a summary Redis is gone: the error above said so, and there is nothing to report from.
  if (summary === undefined) return 1
  await printReport({ ...job, redis, tally, summary, status, ending })
  return exitCodeOf(ending, status, summary, options)
}

/** The figures of spec 4.2, of the whole run. */
function countsOf(summary: RunSummary | undefined): Record<string, object> {
  const counts = Object.entries(summary?.loops ?? {}).map(([id, { iterations, failed, dead_letters }]) => {
    return [id, { iterations, failed, dead_letters }]
  })
  return Object.fromEntries(counts)
}

function exitCodeOf(ending: Ending, status: string, summary: RunSummary, options: RunOptions): number {
  if (status === 'failed' || ending === 'timeout' || ending === 'killed' || ending === 'crashed') return 1
  const deadLetters = Object.values(summary.loops).reduce((sum, loop) => sum + loop.dead_letters, 0)
  return deadLetters > 0 && options.allowDeadLetters !== true ? 1 : 0
}

function modeOf(options: RunOptions): 'resume' | 'fresh' | 'adopt' {
  if (options.fresh === true) return 'fresh'
  return options.adopt === true ? 'adopt' : 'resume'
}

function announce({ out, options, graph }: Job, started: { run: string; resumed: boolean; orphanedQueues: string[] }) {
  const { workflow, loops } = graph
  const where = options.redis === undefined ? `the embedded Redis in ${options.data}` : 'the given Redis'
  const verb = started.resumed ? 'resumes the unfinished run' : 'starts run'
  out.text(`${out.bold(workflow.name)}: ${verb} ${started.run} on ${where}; loops: ${loops.map(l => l.id).join(', ')}`)
  for (const queue of started.orphanedQueues) out.note(`warning: nobody reads queue "${queue}" any more`)
}

function portsOf(redis: Redis, out: Output, options: RunOptions): Ports {
  return {
    clock: systemClock(),
    random: systemRandom(),
    redis,
    host: systemHost(),
    http: systemHttp(),
    files: systemFiles(options.files),
    log: out.log,
  }
}

/** Workers are loaded only for loops that run in one. Afterwards none is left. */
async function withPools(redis: Redis, job: Job, use: (pools: Pools | undefined) => Promise<number>): Promise<number> {
  const { options, graph, out } = job
  if (graph.loops.every(loop => (options.pool ?? loop.pool) === 'async')) return use(undefined)
  const { SystemPools } = await import('../pools.ts')
  const { redis: redisUrl, files: filesDir, nodes: nodesDir } = options
  const pools = new SystemPools({ redis, redisUrl, filesDir, nodesDir, log: out.log })
  try {
    return await use(pools)
  } finally {
    await pools.close()
  }
}
