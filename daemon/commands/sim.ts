/**
 * `sim …`: the one place where the daemon reaches the simulator, and only when asked to, so that production never
 * loads it. The simulator reads its own words; it gets them as they are, and what only a host can give it.
 */
import type { NodeRegistry } from '../../engine/node/node-registry.ts'
import type { Output } from '../output.ts'
import { openRegistry } from '../session.ts'
import { type AddCommand, withJson } from './command.ts'

/** What `sim/cli.ts` exports. */
type Simulator = { simCommand(words: readonly string[], host: SimHost): Promise<number> }
type SimHost = {
  out: Output
  openRegistry(options: { nodes?: string }): Promise<NodeRegistry>
  /** Exports `openRegistry` too, for the threads of the simulator. */
  registryModule: string
  /** For `--real`. */
  loadReal(): Promise<typeof import('../real-host.ts')>
}

export const addSim: AddCommand = (program, register) => {
  const command = program
    .command('sim')
    .description('simulate workflows or scenarios in a world full of faults, and check what must hold')
    .argument('[words...]')
    .helpOption(false)
    .allowUnknownOption()
  register(withJson(command), async (out, [words]) => {
    const simulator = await loadSimulator<Simulator>()
    const format = out.format === 'json' ? ['--json'] : []
    return simulator.simCommand([...words, ...format], {
      out,
      openRegistry,
      registryModule,
      loadReal: () => import('../real-host.ts'),
    })
  })
}

/** Where threads of the simulator find `openRegistry`. */
export const registryModule = new URL('../session.js', import.meta.url).href

/** The simulator as the caller knows it; `replay` needs it too. */
export async function loadSimulator<T>(): Promise<T> {
  return await import(new URL('../../sim/cli.js', import.meta.url).href)
}
