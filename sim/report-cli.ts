/** `theoneeye report TRACE`: daemon/commands/report.ts calls it, by a dynamic import. */
import { writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { EngineError, messageOf } from '../engine/errors.ts'
import { traceLines } from './trace-lines.ts'
import { summarize } from './trace-report.ts'
import { tracePage } from './trace-report-page.ts'

export type ReportJob = {
  path: string
  /** Where the page goes; default: beside the trace, `.html`. */
  file: string | undefined
  out: { text(line?: string): void; json(value: unknown): void; note(line: string): void }
}

/** Resolves to the exit code. Rejects with `USAGE` when the trace can't be read, or the page not written. */
export async function reportCommand({ path, file = pageBeside(path), out }: ReportJob): Promise<number> {
  const summary = await summarize(traceLines(path), path)
  if (summary.truncated) out.note(`warning: the last line of "${path}" is cut off and was left out`)
  try {
    await writeFile(file, tracePage(summary, basename(path)))
  } catch (error) {
    throw new EngineError('USAGE', `Cannot write the report to "${file}": ${messageOf(error)}; name a file with --out`)
  }
  const { iterations, rows, lanes } = summary
  const failed = lanes.reduce((sum, lane) => sum + lane.failed, 0)
  out.json({ type: 'report', file, iterations, failed, shown: rows.length })
  out.text(`${iterations} iterations, ${failed} failed; open ${file} in a browser`)
  return 0
}

function pageBeside(path: string): string {
  return `${path.replace(/\.jsonl(\.gz)?$/, '')}.html`
}
