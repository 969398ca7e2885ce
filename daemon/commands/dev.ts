/** `dev [DIR]`: a daemon for whoever writes workflows: all on this machine, nothing runs on its own, edits are seen at once. */
import type { Output } from '../output.ts'
import { type AddCommand, withDataOption, withJson, withNodes } from './command.ts'

export type DevOptions = { listen: string; files: string; data: string; nodes?: string }

export const addDev: AddCommand = (program, register) => {
  const command = program
    .command('dev')
    .description(
      'serve the workflows of a folder to an editor or to curl, on this machine only, and follow every change',
    )
    .argument('[dir]', 'where workflows are, or folders "workflows" and "nodes"', '.')
    .option('--listen <address>', 'where the HTTP API is; port 0 takes any', '127.0.0.1:7878')
    .option('--files <dir>', 'the folder that file nodes read and write in', './files')
    .addHelpText(
      'after',
      '\nRuns single nodes when asked over HTTP, and workflows when somebody starts them; see "Develop" in the README.',
    )
  register(withNodes(withDataOption(withJson(command))), (out, [dir], options: DevOptions) => dev(out, dir, options))
}

async function dev(out: Output, dir: string, options: DevOptions): Promise<number> {
  // loads the HTTP server, which no other short command needs
  const { DevDaemon } = await import('../dev-daemon.ts')
  const daemon = new DevDaemon(out, { dir, ...options })
  const end = (): void => daemon.end()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end)
  try {
    return await daemon.run()
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end)
  }
}
