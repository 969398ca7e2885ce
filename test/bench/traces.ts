/** What recording costs the two loops of the queues bench, and how fast a trace is replayed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, systemRandom } from '../../daemon/system-ports.ts'
import { TraceFolder } from '../../daemon/trace-folder.ts'
import { FlowEngine } from '../../engine/flow-engine.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { openTrace } from '../../engine/trace/trace.ts'
import { replayTrace } from '../../sim/replay.ts'
import { RedisServer } from '../support/redis-server.ts'
import type { Bench, Sample } from './measure.ts'
import { cpuUs } from './measure.ts'
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
    const run = async (size: number): Promise<Sample> => {
      const failed = (message: string): never => {
        throw new Error(message)
      }
      const folder = new TraceFolder({ ...about, onTrouble: failed })
      try {
        return await throughput(peer('recorded', folder.recordOf), server.url, size)
      } finally {
        await folder.close()
      }
    }
    const close = async (): Promise<void> => {
      rmSync(dir, { recursive: true })
      await server.remove()
    }
    const plain = { name: 'not recorded', run: (size: number) => throughput(ours, server.url, size) }
    return { arms: [{ name: 'recorded', run }, plain], close }
  },
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
