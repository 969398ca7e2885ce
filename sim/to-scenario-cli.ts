/** `theoneeye trace to-scenario`: daemon/commands/trace.ts calls it, by a dynamic import. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { EngineError, messageOf } from '../engine/errors.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { tracesAt } from './replay-cli.ts'
import { findIteration, scenarioOf, type Wanted } from './to-scenario.ts'

export type ToScenarioJob = {
  /** A trace, or a folder of them. */
  path: string
  wanted: Wanted
  registry: NodeRegistry
  workflow: string | undefined
  /** Where the scenario goes; stdout when it is missing. */
  file: string | undefined
  out: { text(line?: string): void; json(value: unknown): void }
}

/** Resolves to the exit code. Rejects with `USAGE` when there is no such item. */
export async function toScenarioCommand({
  path,
  wanted,
  registry,
  workflow,
  file,
  out,
}: ToScenarioJob): Promise<number> {
  const found = await findIteration(await tracesAt(path), wanted)
  if (found === undefined) {
    const what = 'item' in wanted ? `item "${wanted.item}"` : `dead letter "${wanted.deadLetter}"`
    throw new EngineError(
      'USAGE',
      `Cannot make a scenario: no iteration in "${path}" has to do with ${what}; give an id as queue peek or dlq list show it`,
    )
  }
  // a scenario names its workflow from where it stands itself
  const named = workflow === undefined ? undefined : relative(dirname(file ?? './scenario.yaml'), workflow)
  const text = scenarioOf(found, { registry, ...(named === undefined ? {} : { workflow: named }) })
  if (file === undefined) out.text(text.trimEnd())
  else await write(file, text)
  out.json({ type: 'scenario', file: file ?? null, loop: found.line.loop, iteration: found.line.iteration, text })
  if (file !== undefined) out.text(`${file}: try it with: npx theoneeye sim ${file}`)
  return 0
}

async function write(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  } catch (error) {
    throw new EngineError(
      'USAGE',
      `Cannot write the scenario to "${file}": ${messageOf(error)}; name a file with --out`,
    )
  }
}
