import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import { FileWriter } from '../../../../engine/nodes/files/file-writer.ts'
import { NodeBench } from '../../../support/fake-context.ts'

describe('file-writer', () => {
  const table: [string, JsonObject, string][] = [
    ['the data', {}, '{\n  "n": 2\n}'],
    ['the data on one line, appending', { mode: 'a' }, 'old\n{"n":2}\n'],
    ['content', { content: 'n={{ data.n }}' }, 'n=2'],
    ['content, appending', { content: 'n={{ data.n }}', mode: 'a' }, 'old\nn=2\n'],
    ['no second line end', { content: 'n={{ data.n }}\n', mode: 'a' }, 'old\nn=2\n'],
    ['a native value', { content: '{{ data }}' }, '{"n":2}'],
    ['content that renders empty', { content: '{{ data.none }}' }, ''],
  ]
  it.each(table)('writes %s', async (_name, form, expected) => {
    const bench = new NodeBench(FileWriter, { file_path: 'out/{{ data.n }}.txt', ...form })
    bench.files.set('out/2.txt', new TextEncoder().encode('old\n'))
    expect(await bench.run({ n: 2 })).toEqual({ id: 'item-1', data: { n: 2 }, metadata: {} })
    expect(bench.text('out/2.txt')).toBe(expected)
  })
})
