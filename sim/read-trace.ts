/** Reads a trace as all who read one do (`sim/TRACES.md`): its header, line after line, and a last one that may be cut off. */
import type { JsonObject } from '../engine/json.ts'
import {
  type IterationLine,
  parseHeader,
  parseLine,
  readIteration,
  type TraceHeader,
  unreadable,
} from '../engine/trace/trace.ts'

/** `iteration` is the line, when it is one of an iteration; `text` is how it was written. */
export type TraceEntry = { line: JsonObject; iteration: IterationLine | undefined; text: string }
export type TraceReader = { read(entry: TraceEntry): void | Promise<void> }

/**
 * `begin` makes the reader of what follows the header; `name` is for errors. `truncated`: the last line was cut off, by a
 * crash of who recorded it, and left out. Rejects with `USAGE` when it is no trace, and as the reader does.
 */
export async function readTrace<R extends TraceReader>(
  lines: AsyncIterable<string> | Iterable<string>,
  name: string,
  begin: (header: TraceHeader) => R,
): Promise<{ reader: R; truncated: boolean }> {
  let reader: R | undefined
  let truncated = false
  let number = 0
  for await (const text of lines) {
    if (truncated) throw unreadable(name, `line ${number} is no JSON object`)
    number += 1
    if (reader === undefined) {
      reader = begin(parseHeader(text, name))
      continue
    }
    const line = parseLine(text)
    if (line === undefined) truncated = true
    else await reader.read({ line, iteration: readIteration(line, { name, line: number }), text })
  }
  if (reader === undefined) throw unreadable(name, 'it is empty')
  return { reader, truncated }
}
