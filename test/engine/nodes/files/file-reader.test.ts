import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../../../engine/json.ts'
import { ExecutionCompleted, type NodeOutput } from '../../../../engine/node/node.ts'
import { FileReader } from '../../../../engine/nodes/files/file-reader.ts'
import { NodeBench } from '../../../support/fake-context.ts'

type Seen = { item: Json } | { error: string; message: string }

/** Reads to the end; a new instance from the state after every `restartEvery` records. */
async function readAll(format: string, content: string | Uint8Array, restartEvery = 1_000): Promise<Seen[]> {
  const bench = new NodeBench(FileReader, { file_path: 'in', format }, { files: { in: content } })
  const seen: Seen[] = []
  for (;;) {
    if (seen.length % restartEvery === 0) bench.restart()
    try {
      const result = await bench.run()
      if (result instanceof ExecutionCompleted) return seen
      const { item, index } = (result as NodeOutput).data.file_reader as JsonObject
      expect(index).toBe(seen.length + 1)
      seen.push({ item: item as Json })
    } catch (error) {
      const { code, message } = error as Error & { code: string }
      seen.push({ error: code, message })
    }
  }
}

const items = (seen: Seen[]) => seen.map(one => ('item' in one ? one.item : one.error))

describe('file-reader', () => {
  const table: [string, string, string, Json[]][] = [
    ['lines', 'lines', 'a\nb\n', ['a', 'b']],
    ['lines without a last line end', 'lines', 'a\r\nb', ['a', 'b']],
    ['empty lines are lines', 'lines', 'a\n\nb\n', ['a', '', 'b']],
    ['an empty file', 'lines', '', []],
    ['UTF-8 and a byte order mark', 'lines', '\uFEFFäöü 🙂\nß', ['äöü 🙂', 'ß']],
    ['JSON lines, blank ones skipped', 'jsonl', '{"a":1}\n\n  \n[2]\nnull', [{ a: 1 }, [2], null]],
    ['a JSON array', 'json', ' [1, {"a": [2]}, null] ', [1, { a: [2] }, null]],
    ['an empty JSON array', 'json', '[]', []],
    ['CSV', 'csv', 'id,name\n1,Ann\n2,Bob\n', [row(1, 'Ann'), row(2, 'Bob')]],
    ['CSV with CR LF and a mark', 'csv', '\uFEFFid,name\r\n1,Ann\r\n', [row(1, 'Ann')]],
    ['CSV with quotes', 'csv', 'id,"name"\n1,"A, ""B""\nC"\n2,\n', [row(1, 'A, "B"\nC'), row(2, '')]],
    ['CSV with a quote inside a plain field', 'csv', 'id,name\n1,5" disk\n', [row(1, '5" disk')]],
    ['CSV, blank lines skipped', 'csv', 'id,name\n\n1,Ann\n\n', [row(1, 'Ann')]],
    [
      'CSV with odd names',
      'csv',
      'a,a, ,__proto__\n1,2,3,4',
      [JSON.parse('{"a":"1","a_2":"2","column_3":"3","__proto__":"4"}') as Json],
    ],
    ['CSV with a header alone', 'csv', 'id,name\n', []],
    ['an empty CSV file', 'csv', '', []],
  ]
  it.each(table)('%s', async (_name, format, content, expected) => {
    for (const restartEvery of [1, 2, 1_000]) {
      expect(items(await readAll(format, content, restartEvery))).toEqual(expected)
    }
  })

  const broken: [string, string, string | Uint8Array, Json[], string][] = [
    ['a line that is not JSON', 'jsonl', '1\n{"a":\n3\n', [1, 'FILE_FAILED', 3], 'line 2: column 6 is not JSON'],
    [
      'a row with too few fields',
      'csv',
      'a,b\n1\n2,3\n',
      ['FILE_FAILED', ab('2', '3')],
      'line 2: the row has 1 fields',
    ],
    [
      'a row with too many',
      'csv',
      'a,b\n1,2,3\n2,3',
      ['FILE_FAILED', ab('2', '3')],
      'the row has 3 fields, the header 2',
    ],
    ['text after a quote', 'csv', 'a,b\n"1"x,2\n2,3', ['FILE_FAILED', ab('2', '3')], 'follows a closing quote'],
    ['an open quote', 'csv', 'a,b\n"1,2\n2,3\n', ['FILE_FAILED', ab('2', '3')], 'line 2: a quote is never closed'],
    ['no UTF-8', 'lines', new Uint8Array([97, 10, 255, 10, 98]), ['a', 'FILE_FAILED', 'b'], 'line 2: it is not UTF-8'],
  ]
  it.each(broken)('fails only on %s', async (_name, format, content, ...[expected, message]) => {
    for (const restartEvery of [1, 1_000]) {
      const seen = await readAll(format, content, restartEvery)
      expect(items(seen)).toEqual(expected)
      const failed = seen.find(one => 'error' in one) as { message: string }
      expect(failed.message).toContain('Cannot read "in"')
      expect(failed.message).toContain(message)
    }
  })

  it('counts lines inside quoted fields, also across restarts', async () => {
    const content = 'a,b\n"1\n\n",2\nbroken\n3,4\nbroken'
    for (const restartEvery of [1, 1_000]) {
      const failures = (await readAll('csv', content, restartEvery)).flatMap(one =>
        'error' in one ? [one.message] : [],
      )
      expect(failures.map(message => /line (\d+)/.exec(message)?.[1])).toEqual(['5', '7'])
    }
  })

  it('counts on rightly after a record that has no end', async () => {
    for (const content of ['a,b\n"1,2\nbroken\n', `a,b\n1,${'x'.repeat(1_200_000)}\nbroken\n`]) {
      const seen = await readAll('csv', content)
      const lines = seen.map(one => ('error' in one ? /line (\d+)/.exec(one.message)?.[1] : undefined))
      expect(lines).toEqual(['2', '3'])
    }
  })

  it('fails on a line above the limit, and reads the next', async () => {
    const seen = await readAll('lines', `${'x'.repeat(3_000_000)}\nb\n`)
    expect(items(seen)).toEqual(['PAYLOAD_TOO_LARGE', 'b'])
  })

  it('goes on after an open quote in a large file', async () => {
    const rows = Array.from({ length: 200_000 }, (_, i) => `${i},x`).join('\n')
    const bench = new NodeBench(FileReader, { file_path: 'in', format: 'csv' }, { files: { in: `a,b\n"0,y\n${rows}` } })
    await expect(bench.run()).rejects.toMatchObject({ code: 'FILE_FAILED' })
    expect(await bench.run()).toMatchObject({ data: { file_reader: { item: ab('0', 'x'), index: 2 } } })
  })

  it('reads a file once, not once per record', async () => {
    const content = Array.from({ length: 20_000 }, (_, i) => `line ${i}`).join('\n')
    const bench = new NodeBench(FileReader, { file_path: 'in', format: 'lines' }, { files: { in: content } })
    for (let i = 0; i < 20_000; i++) await bench.run()
    expect(bench.fileReads).toBeLessThanOrEqual(Math.ceil(content.length / 65_536) + 1)
  })

  it('begins anew when the state is of another file', async () => {
    const world = { files: { a: '1\n2\n', b: '3\n' } }
    const bench = new NodeBench(FileReader, { file_path: 'b', format: 'lines' }, world)
    bench.state = { file: 'a', offset: 2, index: 1, line: 1 }
    expect(await bench.run()).toMatchObject({ data: { file_reader: { item: '3', index: 1 } } })
  })

  it('goes back when it is given an older state', async () => {
    const bench = new NodeBench(
      FileReader,
      { file_path: 'in', format: 'csv' },
      { files: { in: 'a,b\n1,2\n3,4\n5,6\n' } },
    )
    await bench.run()
    const older = bench.state
    await bench.run()
    await bench.run()
    bench.state = older as Json
    expect(await bench.run()).toMatchObject({ data: { file_reader: { item: ab('3', '4'), index: 2 } } })
  })

  it('reads anew what lies before or beyond the bytes it holds', async () => {
    const content = Array.from({ length: 50_000 }, (_, i) => `line ${i}`).join('\n')
    const bench = new NodeBench(FileReader, { file_path: 'in', format: 'lines' }, { files: { in: content } })
    for (const i of [0, 40_000, 100, 49_999, 0]) {
      bench.state = { file: 'in', offset: content.indexOf(`line ${i}\n`.trimEnd()), index: i, line: i }
      expect(await bench.run()).toMatchObject({ data: { file_reader: { item: `line ${i}`, index: i + 1 } } })
    }
  })

  const hopeless: [string, string, string | undefined, string][] = [
    ['a missing file', 'lines', undefined, 'there is no such file'],
    ['JSON that is not an array', 'json', '{}', 'not an array'],
    ['broken JSON', 'json', '[1,\n2', 'line 2'],
    ['a broken header', 'csv', '"a"b,c\n', 'the header row is not CSV'],
  ]
  it.each(hopeless)('fails without going on: %s', async (_name, format, content, message) => {
    const files = content === undefined ? {} : { in: content }
    const bench = new NodeBench(FileReader, { file_path: 'in', format }, { files })
    for (let i = 0; i < 2; i++) {
      await expect(bench.run()).rejects.toMatchObject({
        code: 'FILE_FAILED',
        message: expect.stringContaining(message),
      })
    }
    expect(bench.state).toBeUndefined()
  })

  it('reads back any table that was written as CSV says', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', 'ä', '🙂', ' ') })
    const table = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom(1, 3), async (rows, restartEvery) => {
        const quoted = rows.map(cells => cells.map(text => `"${text.replaceAll('"', '""')}"`).join(','))
        const content = ['a,b', ...quoted].join('\r\n')
        expect(items(await readAll('csv', content, restartEvery))).toEqual(rows.map(([a, b]) => ab(a, b)))
      }),
    )
  })
})

function row(id: number, name: string): JsonObject {
  return { id: String(id), name }
}

function ab(a: string, b: string): JsonObject {
  return { a, b }
}
