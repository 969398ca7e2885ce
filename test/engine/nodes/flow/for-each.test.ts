import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../../../engine/json.ts'
import type { Elements } from '../../../../engine/node/node.ts'
import { ForEach } from '../../../../engine/nodes/flow/for-each.ts'
import { NodeBench } from '../../../support/fake-context.ts'

const data: JsonObject = {
  list: [1, 2],
  deep: { rows: [{ lines: ['a'] }] },
  data: { own: [3] },
  text: '[4]',
  empty: [],
}

async function elements(array_expression: Json, given = data): Promise<Elements> {
  return (await new NodeBench(ForEach, { array_expression }).run(given)) as Elements
}

describe('for-each', () => {
  const table: [string, Json, Json[]][] = [
    ['a template', '{{ data.list }}', [1, 2]],
    ['a template that makes a list', '{{ data.list | map("string") | list }}', ['1', '2']],
    ['a template that gives JSON text', '{{ data.text }}', [4]],
    ['JSON text', '[1, {"a": 2}]', [1, { a: 2 }]],
    ['JSON text with templates', '["{{ data.list }}", {{ data.list }}, "x{{ data.text }}"]', [[1, 2], [1, 2], 'x[4]']],
    ['a list', [1, '{{ data.text }}'], [1, '[4]']],
    ['a path', 'data.list', [1, 2]],
    ['a path from the data', 'list', [1, 2]],
    ['a path through lists', 'deep.rows.0.lines', ['a']],
    ['a path into a key called data', 'data.own', [3]],
    ['an empty list', 'empty', []],
  ]
  it.each(table)('%s', async (_name, expression, items) => {
    const { output, items: found } = await elements(expression)
    expect(found).toEqual(items)
    expect(output.data).toEqual({ ...data, items })
  })

  it('does not store a list twice that already is `items`', async () => {
    expect((await elements('items', { items: [1] })).output.data).toEqual({ items: [1] })
    expect((await elements('list', { items: 'x', list: [1] })).output.data).toEqual({
      items: 'x',
      list: [1],
      items_2: [1],
    })
  })

  const wrong: [string, Json, string][] = [
    ['nothing there', 'data.none', '"data.none" gives nothing'],
    ['an object', '{{ data.deep }}', 'gives an object'],
    ['JSON of another type', '{"a": 1}', 'gives an object'],
    ['a path through the prototype', 'constructor.name', 'gives nothing'],
    ['an empty template', '{{ data.none }}', 'field "array_expression" is empty'],
  ]
  it.each(wrong)('fails on %s', async (_name, expression, message) => {
    await expect(elements(expression)).rejects.toMatchObject({
      code: 'FORM_INVALID',
      message: expect.stringContaining(message),
    })
  })

  it('fails on a list above its limit', async () => {
    const list = Array.from({ length: 100_001 }, () => 0)
    await expect(elements('list', { list })).rejects.toMatchObject({ code: 'LIMIT_PASSED' })
  })
})
