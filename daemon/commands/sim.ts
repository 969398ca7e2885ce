/**
 * `sim …`: the one place where the daemon reaches the simulator, and only when asked to, so that production never
 * loads it. The simulator reads its own options; it gets the words as they are, and what only a host can give it.
 */
import { EngineError, messageOf } from '../../engine/errors.ts'
import type { NodeRegistry } from '../../engine/node/node-registry.ts'
import type { Output } from '../output.ts'
import { openRegistry } from '../session.ts'
import type { AddCommand } from './command.ts'

/** What `sim/cli.ts` exports. */
type Simulator = { simCommand(words: readonly string[], host: SimHost): Promise<number> }
export type SimHost = { out: Output; openRegistry(options: { nodes?: string }): Promise<NodeRegistry> }

export const addSim: AddCommand = (program, register) => {
  const command = program
    .command('sim')
    .description('simulate workflows or scenarios in a world full of faults (sim --help)')
    .argument('[words...]')
    .helpOption(false)
    .allowUnknownOption()
  register(command, async (out, [words]) => (await loadSimulator()).simCommand(words, { out, openRegistry }))
}

async function loadSimulator(): Promise<Simulator> {
  try {
    return (await import(new URL('../../sim/cli.js', import.meta.url).href)) as Simulator
  } catch (error) {
    throw new EngineError('NOT_SUPPORTED', `Cannot load the simulator: ${messageOf(error)}; reinstall the package`)
  }
}
