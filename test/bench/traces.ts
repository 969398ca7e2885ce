/** What recording costs the two loops of the queues bench, and how fast a trace is replayed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, systemRandom } from '../../daemon/system-ports.ts'
import { TraceFolder } from '../../daemon/trace-folder.ts'
import { FlowEngine } from '../../engine/flow-engine.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { openTrace, type RecordOf, type TraceLine, type TraceSink } from '../../engine/trace/trace.ts'
import { replayTrace } from '../../sim/replay.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type Arm, type Bench, cpuUs, type Sample } from './measure.ts'
import { ours, peer } from './ours.ts'
import { portsInMemory } from './plan-scope.ts'
import { throughput } from './queues.ts'

export const recording: Bench = {
  title: 'two loops over a real Redis, recorded to a file or not',
  size: { full: 100_000, quick: 1_000 },
  async open() {
    const server = await RedisServer.start()
    const dir = mkdtempSync(join(tmpdir(), 'theoneeye-bench-'))
    const about = {
      dir,
      bytesMax: 1e9,
      ageMsMax: 1e9,
      keep: 3,
      redact: [],
      clock: systemClock(),
      random: systemRandom(),
    }
    const recorded = (chapters: 'within the budget' | 'all'): Arm => ({
      name: `recorded, ${chapters}`,
      async run(size) {
        const folder = new TraceFolder({ ...about, onTrouble: failed })
        const meter = new RecordingMeter(folder.recordOf, chapters)
        try {
          return { ...(await throughput(peer('recorded', meter.recordOf), server.url, size)), ...meter.told() }
        } finally {
          await folder.close()
        }
      },
    })
    const plain: Arm = {
      name: 'not recorded',
      run: async size => ({ ...(await throughput(ours, server.url, size)), '% recorded': 0, 'µs of writing each': 0 }),
    }
    const close = async (): Promise<void> => {
      rmSync(dir, { recursive: true })
      await server.remove()
    }
    return { arms: [recorded('within the budget'), recorded('all'), plain], close }
  },
}

function failed(message: string): never {
  throw new Error(message)
}

/** How many of the iterations are recorded, and how long writing one takes: the part of the cost that a budget can measure. */
class RecordingMeter {
  readonly recordOf: RecordOf
  #written = 0
  #leftOut = 0
  #writingMs = 0

  constructor(recordOf: RecordOf, chapters: 'within the budget' | 'all') {
    this.recordOf = graph => {
      const sink = recordOf(graph) as TraceSink
      const metered = (line: TraceLine): void => {
        const beganMs = performance.now()
        sink(line)
        this.#writingMs += performance.now() - beganMs
        if (line.kind === 'iteration') this.#written += 1
        if (line.kind === 'gap') this.#leftOut += line.iterations
      }
      return Object.assign(metered, { wants: chapters === 'all' ? () => true : () => sink.wants?.() !== false })
    }
  }

  told(): Sample {
    const all = this.#written + this.#leftOut
    return {
      '% recorded': (100 * this.#written) / all,
      'µs of writing each': (1_000 * this.#writingMs) / this.#written,
    }
  }
}

export const replaying: Bench = {
  title: 'replaying a recorded run of two loops, a queue and three plain nodes',
  size: { full: 20_000, quick: 4_000 },
  open: async () => ({ arms: [{ name: 'replay', run: replayed }], close: async () => undefined }),
}

async function replayed(size: number): Promise<Sample> {
  const lines = await recordedLines(size)
  const [startedMs, usedBefore] = [performance.now(), cpuUs()]
  const report = await replayTrace(lines, 'bench', { registry: defaultRegistry(), onVerdict: () => undefined })
  const seconds = (performance.now() - startedMs) / 1_000
  if (report.identical !== report.iterations) throw new Error('The replay is not identical')
  return { 'iterations/s': report.iterations / seconds, 'µs of CPU each': (cpuUs() - usedBefore) / report.iterations }
}

/** Of about so many iterations. */
async function recordedLines(size: number): Promise<string[]> {
  const lines: string[] = []
  const node = (id: string, type: string, form = {}) => ({ id, type, data: { form } })
  const edge = (source: string, target: string) => ({ id: `${source}-${target}`, source, target })
  const template = '{"n": "{{ data.counter.current * 2 }}"}'
  const workflow = {
    id: 'bench-replay',
    nodes: [
      node('count', 'counter', { min_value: 1, max_value: size / 2 }),
      node('out', 'queue-writer'),
      node('in', 'queue-reader'),
      node('twice', 'data-transformer', { output_template: template, overwrite: false }),
      node('large', 'if-condition', { condition_expression: 'data.counter.current > 100' }),
      node('say', 'log', { message: '{{ data.counter.current }}', level: 'debug' }),
    ],
    edges: [
      edge('count', 'out'),
      edge('out', 'in'),
      edge('in', 'twice'),
      edge('twice', 'large'),
      { ...edge('large', 'say'), sourceHandle: 'yes' },
    ],
  }
  const graph = requireWorkflow(workflow, { registry: defaultRegistry() })
  const record = openTrace(graph, { engine: 'bench', source: 'recorded' }, line => lines.push(line))
  const engine = new FlowEngine({ graph, ports: portsInMemory(), recordOf: () => record })
  await engine.start()
  const { status } = await engine.done
  if (status !== 'completed') throw new Error(`The run is ${status}`)
  return lines
}
