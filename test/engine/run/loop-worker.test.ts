import { describe, expect, test } from 'vitest'
import type { FlowGraph } from '../../../engine/graph/flow-graph.ts'
import { loadWorkflow, requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import { LoopInWorker } from '../../../engine/run/loop-worker.ts'
import { type FromWorker, type LoopTask, poolProtocol } from '../../../engine/run/pool-protocol.ts'
import { toSource } from '../../../engine/trace/trace.ts'
import { Bench } from '../../support/engine-bench.ts'

const bench = new Bench()
const graph = bench.load({ nodes: { count: ['counter', { max_value: 2 }], say: 'log' }, edges: 'count>say' })
const registry = defaultRegistry()

function taskFor(of: FlowGraph, other: Partial<LoopTask> = {}): LoopTask {
  return {
    protocol: poolProtocol,
    pool: 'thread',
    workflow: { name: of.workflow.id, source: toSource(of.workflow), hash: of.hash },
    run: { id: 'run-1', seed: 'seed' },
    loop: 'count',
    replica: 0,
    lease: { holder: 'h', seq: 1, iterations: 0 },
    lastDeath: '',
    memoryMbMax: null,
    records: false,
    ...other,
  }
}

async function refusal(task: LoopTask): Promise<FromWorker[]> {
  const said: FromWorker[] = []
  const worker = new LoopInWorker(task, {
    ports: bench.ports(1),
    load: ({ name, source }) => requireWorkflow(source, { registry, name }),
    pulse: { progress: () => undefined, workUntil: () => undefined },
    post: message => said.push(JSON.parse(JSON.stringify(message)) as FromWorker),
  })
  await bench.finish(worker.done)
  return said
}

describe('LoopInWorker', () => {
  test.each<[string, Partial<LoopTask>]>([
    ['of another version', { protocol: poolProtocol + 1 }],
    ['of another definition', { workflow: { ...taskFor(graph).workflow, hash: 'another' } }],
    ['of a loop that is not there', { loop: 'nowhere' }],
  ])('refuses a task %s in words, after saying its own version', async (_what, other) => {
    const said = await refusal(taskFor(graph, other))
    expect(said).toEqual([
      { kind: 'hello', protocol: poolProtocol },
      { kind: 'end', end: { result: 'lost', error: expect.objectContaining({ code: 'WORKER_REFUSED' }) } },
    ])
  })

  test('loads as the same definition what was made a file of again', () => {
    const sketches = [graph.workflow, ...[{ env: { A: 1 } }].map(extra => ({ ...graph.workflow, ...extra }))]
    for (const workflow of sketches) {
      const first = loadWorkflow(toSource(workflow), { registry }).graph as FlowGraph
      const again = loadWorkflow(toSource(first.workflow), { registry }).graph as FlowGraph
      expect(again.hash).toBe(first.hash)
    }
  })
})
