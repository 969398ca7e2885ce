import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import { compileForm } from '../../../../engine/node/form.ts'
import { ExecutionCompleted, type NodeOutput } from '../../../../engine/node/node.ts'
import { StringIteratorProducer } from '../../../../engine/nodes/producers/string-iterator-producer.ts'
import { NodeBench } from '../../../support/fake-context.ts'

async function iterate(form: JsonObject): Promise<JsonObject[]> {
  const bench = new NodeBench(StringIteratorProducer, form, { env: { NAMES: 'ann,bob' } })
  const seen: JsonObject[] = []
  for (;;) {
    const result = await bench.run()
    if (result instanceof ExecutionCompleted) return seen
    seen.push((result as NodeOutput).data.string_iterator as JsonObject)
    bench.restart()
  }
}

describe('string-iterator-producer', () => {
  const table: [string, JsonObject, string[]][] = [
    ['lines, trimmed, empty ones dropped', { data_content: ' a \r\n\n b\nc\n' }, ['a', 'b', 'c']],
    ['commas', { data_content: 'a, b,,c', separator_type: 'comma' }, ['a', 'b', 'c']],
    ['custom', { data_content: 'a;;b;c', separator_type: 'custom', custom_separator: ';;' }, ['a', 'b;c']],
    ['a custom separator that looks like a pattern', custom('a.b', '.'), ['a', 'b']],
    ['nothing but separators', { data_content: ',,', separator_type: 'comma' }, []],
    ['a template', { data_content: '{{ workflowenv.NAMES }},cid', separator_type: 'comma' }, ['ann', 'bob', 'cid']],
  ]
  it.each(table)('%s', async (_name, form, values) => {
    expect(await iterate(form)).toEqual(values.map((value, i) => ({ value, iteration_index: i + 1 })))
  })

  it('refuses "custom" without a separator', () => {
    const { problems } = compileForm(StringIteratorProducer.form, custom('a', ''), { strict: false })
    expect(problems).toMatchObject([{ field: 'custom_separator' }])
  })
})

function custom(data_content: string, custom_separator: string): JsonObject {
  return { data_content, separator_type: 'custom', custom_separator }
}
