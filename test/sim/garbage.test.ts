import { describe, expect, it } from 'vitest'
import type { NodeContext } from '../../engine/node/context.ts'
import type { Node, NodeClass, NodeKind, NodeOutput, NodeResult } from '../../engine/node/node.ts'
import { Log } from '../../engine/nodes/data/log.ts'
import { Background } from '../../engine/nodes/flow/background.ts'
import { ForEach } from '../../engine/nodes/flow/for-each.ts'
import { IfCondition } from '../../engine/nodes/flow/if-condition.ts'
import { garbageFor, pickGarbage, refusalOf, spoil } from '../../sim/garbage.ts'
import { Bench } from '../support/engine-bench.ts'

/** A node that answers as it should but for its second item. */
function spoilt(base: NodeClass, garbage: string): NodeClass {
  let seen = 0
  const { execute } = (base as unknown as { prototype: Node }).prototype
  return class extends base {
    static override identifier = `spoilt-${base.identifier}`
    override async execute(input: NodeOutput, context: NodeContext): Promise<NodeResult> {
      const result = await execute.call(this, input, context)
      return ++seen === 2 ? (spoil(result, garbage, base.kind) as NodeResult) : result
    }
  } as NodeClass
}

const nodes: [NodeClass, object][] = [
  [Log, { message: 'seen' }],
  [IfCondition, { condition_expression: 'data.counter.current > 0' }],
  [Background, {}],
  [ForEach, { array_expression: '{{ [1, 2] }}' }],
]
const cases = nodes.flatMap(([base, form]) => garbageFor(base.kind).map(garbage => ({ base, form, garbage })))

describe('garbage', () => {
  it.each(cases)(
    '$garbage from $base.identifier is refused as the reference is told, and the loop goes on',
    async at => {
      const bench = new Bench([spoilt(at.base, at.garbage)])
      const port = at.base.kind === 'conditional' ? 'odd:yes>out' : 'odd>out'
      await bench.run({
        nodes: {
          count: ['counter', { min_value: 1, max_value: 3 }],
          odd: [`spoilt-${at.base.identifier}`, { ...at.form }],
          out: ['queue-writer', { queue_name: 'out' }],
        },
        edges: `count>odd ${port}`,
      })
      const [letter, ...others] = await bench.deadLetters()
      expect(others).toEqual([])
      expect([letter?.node, letter?.error.code]).toEqual(['odd', refusalOf(at.garbage).code])
      // who looks at the error finds the node (or its queue, of the same name)
      expect(letter?.error.message).toContain(at.garbage === 'too much' ? 'odd' : '"odd"')
      expect(await bench.queue('out')).toHaveLength(2)
    },
  )

  it.each(['blocking', 'non-blocking', 'conditional', 'loop'] satisfies NodeKind[])(
    'of every sort comes up, for %s nodes',
    kind => {
      const picked = new Set(Array.from({ length: 400 }, (_, i) => pickGarbage(kind, `draw ${i}`)))
      expect([...picked].sort()).toEqual(garbageFor(kind).sort())
    },
  )
})
