/** Trace files as lines: plain and gzip, cut off, damaged, and with a line that never ends. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { traceLines } from '../../sim/trace-lines.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'

const lines = Array.from({ length: 9_000 }, (_, i) => JSON.stringify({ kind: 'x', i, text: `ä€😀 ${i * 7_919}` }))
const whole = Buffer.from(`${lines.join('\n')}\n`)

function file(name: string, bytes: Buffer): string {
  const path = join(tempDir(), name)
  writeFileSync(path, bytes)
  return path
}

async function read(path: string, unitsMax?: number): Promise<string[]> {
  const all: string[] = []
  for await (const line of traceLines(path, unitsMax)) all.push(line)
  return all
}

describe('traceLines', () => {
  it('reads a plain file over many chunks', async () => {
    expect(whole.length).toBeGreaterThan(4 * 65_536)
    expect(await read(file('a.jsonl', whole))).toEqual(lines)
  })

  it('reads gzip by its extension', async () => {
    expect(await read(file('a.jsonl.gz', gzipSync(whole)))).toEqual(lines)
  })

  it('gives what is left of a gzip file that was cut off', async () => {
    const zipped = gzipSync(whole)
    const got = await read(file('a.jsonl.gz', zipped.subarray(0, zipped.length / 2)))
    expect(got.length).toBeGreaterThan(1_000)
    expect(got.slice(0, -1)).toEqual(lines.slice(0, got.length - 1))
    expect(lines).not.toContain(got.at(-1))
  })

  it.each([
    ['is no gzip', Buffer.from('{"kind":"header"}\n'), 'it is no gzip file, or damaged'],
    ['is damaged', gzipSync(whole).fill(0x55, 2_000, 2_400), 'it is no gzip file, or damaged'],
  ])('refuses a .gz file that %s', async (_, bytes, why) => {
    expect((await errorOf(() => read(file('a.jsonl.gz', bytes)))).message).toContain(why)
  })

  it('refuses a line that is too long, and names it', async () => {
    const path = file('a.jsonl', Buffer.from(`{}\n${'x'.repeat(5_000)}`))
    expect(await read(path, 5_000)).toHaveLength(2)
    const { message } = await errorOf(() => read(path, 4_999))
    expect(message).toContain('line 2 is longer than 4999 characters')
  })
})
