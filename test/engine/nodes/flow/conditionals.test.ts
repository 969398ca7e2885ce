import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import type { Routed } from '../../../../engine/node/node.ts'
import { IfCondition } from '../../../../engine/nodes/flow/if-condition.ts'
import { Switch } from '../../../../engine/nodes/flow/switch.ts'
import { NodeBench } from '../../../support/fake-context.ts'

describe('if-condition', () => {
  const table: [string, JsonObject, JsonObject][] = [
    ["data.get('followers', 0) > 500", { followers: 501 }, { route: 'yes', result: true }],
    ["data.get('followers', 0) > 500", {}, { route: 'no', result: false }],
    ['{{ data.followers }} > 500', { followers: 7 }, { route: 'no', expression: '7 > 500', result: false }],
  ]
  it.each(table)('%s of %j', async (condition_expression, data, expected) => {
    const { route, output } = (await new NodeBench(IfCondition, { condition_expression }).run(data)) as Routed
    expect(route).toBe(expected.route)
    expect(output.data).toEqual({ ...data, if_condition: { expression: condition_expression, ...expected } })
  })

  it('takes another key when its own is taken', async () => {
    const bench = new NodeBench(IfCondition, { condition_expression: 'true' })
    const { output } = (await bench.run({ if_condition: 1, if_condition_2: 2 })) as Routed
    expect(Object.keys(output.data)).toEqual(['if_condition', 'if_condition_2', 'if_condition_3'])
  })
})

describe('switch', () => {
  const cases = [
    { key: 'Priority', condition: 'data.total >= 1000' },
    { key: 'standard', condition: 'data.total > 0' },
  ]
  const table: [JsonObject, string][] = [
    [{ total: 5000 }, 'priority'],
    [{ total: 5 }, 'standard'],
    [{ total: 0 }, 'default'],
  ]
  it.each(table)('%j goes to %s', async (data, expected) => {
    const { route, output } = (await new NodeBench(Switch, { cases }).run(data)) as Routed
    expect(route).toBe(expected)
    expect(Switch.ports({ cases })).toContain(route)
    expect(output.data).toEqual({ ...data, switch: { route } })
  })
})
