import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../../../engine/json.ts'
import type { NodeOutput } from '../../../../engine/node/node.ts'
import { DataTransformer } from '../../../../engine/nodes/data/data-transformer.ts'
import { NodeBench } from '../../../support/fake-context.ts'

const data: JsonObject = { name: 'Ann "A"', n: 2, list: [1, 2] }

async function transform(form: JsonObject): Promise<JsonObject> {
  return ((await new NodeBench(DataTransformer, form).run(data)) as NodeOutput).data
}

describe('data-transformer', () => {
  const table: [string, Json, Json][] = [
    ['text', '{ "name": "{{ data.name }}", "twice": {{ data.n * 2 }} }', { name: 'Ann "A"', twice: 4 }],
    ['a value', { all: '{{ data.list }}', half: 'n={{ data.n }}' }, { all: [1, 2], half: 'n=2' }],
    ['a constant', '{"a": 1}', { a: 1 }],
  ]
  it.each(table)('%s', async (_name, output_template, expected) => {
    expect(await transform({ output_template })).toEqual(expected)
    expect(await transform({ output_template, overwrite: 'false' })).toEqual({ ...data, data_transformer: expected })
  })

  it('puts anything under a key, but only an object in place of the data', async () => {
    expect(await transform({ output_template: '{{ data.list }}', overwrite: false })).toMatchObject({
      data_transformer: [1, 2],
    })
    await expect(transform({ output_template: '{{ data.list }}' })).rejects.toMatchObject({
      code: 'FORM_INVALID',
      message: expect.stringContaining('gives a list; with "overwrite" it must give an object'),
    })
  })
})
