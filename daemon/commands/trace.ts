/** `trace to-scenario`: the work is the simulator's, as all reading of traces is. */
import { EngineError } from '../../engine/errors.ts'
import type { NodeRegistry } from '../../engine/node/node-registry.ts'
import type { Output } from '../output.ts'
import { openRegistry } from '../session.ts'
import { type AddCommand, withJson, withNodes } from './command.ts'
import { loadSimulator } from './sim.ts'

/** What `sim/cli.ts` exports for it. */
type ToScenario = {
  toScenarioCommand(job: {
    path: string
    wanted: { item: string } | { deadLetter: string }
    registry: NodeRegistry
    workflow: string | undefined
    file: string | undefined
    out: Output
  }): Promise<number>
}
type Options = { item?: string; deadLetter?: string; workflow?: string; out?: string; nodes?: string }

export const addTrace: AddCommand = (program, register) => {
  const group = program.command('trace').description('what can be made of recorded traces')
  const command = group
    .command('to-scenario')
    .description('make a scenario of one recorded item or dead letter: the least that shows again what became of it')
    .argument('<trace>', 'a trace, or a folder of them (*.jsonl, *.jsonl.gz)')
    .option('--dead-letter <id>', 'the iteration of this dead letter, as dlq list names it')
    .option('--item <id>', 'the iteration of this item that failed, or else its last')
    .option(
      '--workflow <file>',
      'the workflow that is to be mended: the scenario names it, instead of holding the recorded one',
    )
    .option('--out <file>', 'the scenario (default: stdout)')
  register(withNodes(withJson(command)), (out, [path], options: Options) => toScenario(out, path, options))
}

async function toScenario(out: Output, path: string, options: Options): Promise<number> {
  const { item, deadLetter, workflow, out: file } = options
  if ((item === undefined) === (deadLetter === undefined)) {
    throw new EngineError('USAGE', 'Cannot tell what the scenario is about: give --dead-letter ID or --item ID')
  }
  const wanted = item === undefined ? { deadLetter: deadLetter as string } : { item }
  const registry = await openRegistry(options)
  const { toScenarioCommand } = await loadSimulator<ToScenario>()
  return await toScenarioCommand({ path, wanted, registry, workflow, file, out })
}
