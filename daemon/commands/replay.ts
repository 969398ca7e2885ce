/**
 * `replay TRACE|DIR`: runs recorded iterations again and compares what they decide. The replaying is the simulator's, for
 * it has to do without the world; here are its words, and what only a host can give it.
 */
import type { NodeRegistry } from '../../engine/node/node-registry.ts'
import type { Output } from '../output.ts'
import { openRegistry, readWorkflowFile } from '../session.ts'
import { type AddCommand, withJson, withNodes } from './command.ts'
import { loadSimulator, registryModule } from './sim.ts'

/** What `sim/cli.ts` exports for it. */
type Replay = { replayCommand(job: ReplayJob): Promise<number> }
type ReplayJob = {
  path: string
  registry: NodeRegistry
  /** For the threads of the simulator. */
  registryModule: { url: string; options: { nodes?: string } }
  workflow?: { source: string; name: string }
  fromItem?: string
  junit?: string
  out: Output
}
type Options = { workflow?: string; nodes?: string; fromItem?: string; junit?: string }

export const addReplay: AddCommand = (program, register) => {
  const command = program
    .command('replay')
    .description('run a recorded trace again, without the world, and compare every decision')
    .argument('<trace>', 'a trace that run --trace wrote, or a folder of them (*.jsonl, *.jsonl.gz)')
    .option('--workflow <file>', 'replay against this workflow instead of the recorded one')
    .option(
      '--from-item <id>',
      'follow one item, or the item of a dead letter: tell only of the iterations that have to do with it',
    )
    .option('--junit <file>', 'write the outcome as JUnit XML')
    .addHelpText('after', '\nExit codes: 0 identical, 1 diverged, 2 bad usage or an unreadable trace, 3 stale')
  register(withNodes(withJson(command)), (out, [path], options) => replay(out, path, options))
}

async function replay(out: Output, path: string, options: Options): Promise<number> {
  const registry = await openRegistry(options)
  const workflow = options.workflow === undefined ? {} : { workflow: await readWorkflowFile(options.workflow) }
  const { fromItem, junit } = options
  const more = { ...(fromItem === undefined ? {} : { fromItem }), ...(junit === undefined ? {} : { junit }) }
  const { replayCommand } = await loadSimulator<Replay>()
  return replayCommand({ path, registry, registryModule: { url: registryModule, options }, out, ...workflow, ...more })
}
