/**
 * What the engine itself costs, in this process: a producer and three plain nodes, with all their events. `iteration` is
 * the walk alone, without a store; `engine` adds all that is around it, with commits to keys in memory; `floor` is the
 * least that any engine would do, the same nodes awaited one after another with a new envelope and two events each.
 */
import { FlowEngine } from '../../engine/flow-engine.ts'
import type { FlowNode } from '../../engine/graph/flow-graph.ts'
import type { NodeOutput } from '../../engine/node/node.ts'
import { Iteration } from '../../engine/run/iteration.ts'
import { type Arm, type Bench, cpuUs } from './measure.ts'
import { countEvent, counts, loadPlan, openScope, Plain, portsInMemory, Source } from './plan-scope.ts'

export const plan: Bench = {
  title: 'a producer and three plain nodes with their events, in process',
  size: { full: 50_000, quick: 10_000 },
  open: async () => ({ arms: [iteration, engine, floor], close: async () => undefined }),
}

const eventsEach = 10

const iteration: Arm = {
  name: 'iteration, no store',
  run: size =>
    timed(size, async () => {
      const scope = openScope(loadPlan())
      await scope.instances.open()
      for (let number = 1; number <= size; number++) {
        const one = new Iteration(scope, { key: `bench.${number}`, pushPrefix: `bench.${number}`, number })
        scope.events.iterationStarted(number)
        const input = { id: `${number}`, data: {}, metadata: {} }
        const item = await one.produce(scope.loop.producer as FlowNode, input, 'announced')
        await one.walk(item as NodeOutput)
        await one.end()
        scope.events.iterationCompleted(number, 0)
      }
      scope.deadlines.close()
      await scope.instances.close()
    }),
}

const engine: Arm = {
  name: 'engine, keys in memory',
  run: size =>
    timed(size, async () => {
      const running = new FlowEngine({ graph: loadPlan(), ports: portsInMemory(), onEvent: countEvent })
      await running.start()
      const { status, error } = await running.done
      if (status !== 'completed') throw new Error(`The run is ${status}: ${error?.message}`)
    }),
}

const floor: Arm = {
  name: 'floor',
  run: size =>
    timed(size, async () => {
      const { events, loop } = openScope(loadPlan())
      const [at] = loop.nodes as [FlowNode]
      const nodes = [Source, Plain, Plain, Plain].map(type => new type({ id: 'n', type: type.identifier, config: {} }))
      for (let number = 1; number <= size; number++) {
        let output: NodeOutput = { id: `${number}`, data: {}, metadata: {} }
        events.iterationStarted(number)
        for (const node of nodes) {
          events.nodeStarted(number, at)
          output = (await node.execute(output)) as NodeOutput
          events.nodeCompleted(number, at, 0, { output, route: 'default' })
        }
        events.iterationCompleted(number, 0)
      }
    }),
}

/** Rejects when events are missing: then it was not the whole plan that ran. */
async function timed(size: number, work: () => Promise<void>) {
  counts.left = size
  counts.events = 0
  const [startedMs, usedBefore] = [performance.now(), cpuUs()]
  await work()
  const cpu = (cpuUs() - usedBefore) / size
  const rate = (size * 1000) / (performance.now() - startedMs)
  if (counts.events < size * eventsEach) throw new Error(`${counts.events} events, ${size} × ${eventsEach} expected`)
  return { 'iterations/s': rate, 'µs of CPU each': cpu }
}
