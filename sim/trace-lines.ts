/**
 * The lines of a trace file, one after the other, whatever its size: what is held is one chunk and one line, and a line
 * that never ends is refused. A name that ends in `.gz` is read as gzip.
 */
import { createReadStream } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { createGunzip } from 'node:zlib'
import { codeOf, messageOf } from '../engine/errors.ts'
import { unreadable } from '../engine/trace/trace.ts'

/** In UTF-16 units; an iteration's largest parts are bounded far below (`engine/limits.ts`). */
const lineUnitsMax = 64 * 1024 * 1024

/** Rejects with `USAGE` when it can't be read. What a cut-off file ends with comes as its last line, be it empty. */
export async function* traceLines(path: string, unitsMax = lineUnitsMax): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let number = 1
  for await (const bytes of bytesOf(path)) {
    const pieces = (bytes === 'cut' ? decoder.end() : decoder.write(bytes)).split('\n')
    for (const [i, piece] of pieces.entries()) {
      rest += piece
      if (rest.length > unitsMax) throw unreadable(path, `line ${number} is longer than ${unitsMax} characters`)
      if (i === pieces.length - 1) break
      yield rest
      rest = ''
      number += 1
    }
    if (bytes !== 'cut') continue
    yield rest
    return
  }
  rest += decoder.end()
  if (rest !== '') yield rest
}

/** `cut`, at the end: whoever wrote the gzip file did not come to its end. */
async function* bytesOf(path: string): AsyncGenerator<Buffer | 'cut'> {
  const file = createReadStream(path)
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  // pipe passes no errors on
  if (input !== file) file.once('error', error => input.destroy(error))
  try {
    yield* input as AsyncIterable<Buffer>
  } catch (error) {
    if (codeOf(error) === 'Z_BUF_ERROR') yield 'cut'
    else throw unreadable(path, codeOf(error) === 'Z_DATA_ERROR' ? 'it is no gzip file, or damaged' : messageOf(error))
  } finally {
    input.destroy()
    file.destroy()
  }
}
