/** `report TRACE`: the page is the simulator's, as all reading of traces is. */
import type { Output } from '../output.ts'
import { type AddCommand, withJson } from './command.ts'
import { loadSimulator } from './sim.ts'

/** What `sim/cli.ts` exports for it. */
type Report = { reportCommand(job: { path: string; file: string | undefined; out: Output }): Promise<number> }

export const addReport: AddCommand = (program, register) => {
  const command = program
    .command('report')
    .description('write a trace as an HTML page: a timeline of all loops, with a search by item')
    .argument('<trace>', 'a trace that run --trace, a daemon or sim wrote (*.jsonl, *.jsonl.gz)')
    .option('--out <file>', 'the page (default: beside the trace, .html)')
  register(withJson(command), async (out, [path], options: { out?: string }) => {
    const { reportCommand } = await loadSimulator<Report>()
    return await reportCommand({ path, file: options.out, out })
  })
}
