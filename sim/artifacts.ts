/** What is kept of a failure on disk: enough to repeat it, to read it, and to have every later run try it first. */
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Found, planText } from './explore.ts'
import { reportHtml } from './report-html.ts'

/** Plans here are tried by every run of the simulator before anything else. */
const foundFolder = join('scenarios', 'found')

/** Writes what is known of a failure to a folder of its own; the folder. */
export async function keepFailure(found: Found, out: string): Promise<string> {
  const { failure, plan, original, lines, recorded: [header, ...iterations] = [] } = found
  const trace = [...(header === undefined ? [] : [header]), ...lines, ...iterations]
  const folder = join(out, nameOf(found))
  const env = { node: process.version, platform: process.platform, arch: process.arch, failure }
  await mkdir(folder, { recursive: true })
  const files = {
    'plan.json': planText(plan),
    'original.json': planText(original),
    'trace.jsonl': trace.map(line => `${line}\n`).join(''),
    'report.html': reportHtml(found, folder),
    'env.json': `${JSON.stringify(env, null, 2)}\n`,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

/** Puts the plan among those that every run tries first; the file. */
export async function savePlan(found: Found): Promise<string> {
  await mkdir(foundFolder, { recursive: true })
  const file = join(foundFolder, `${nameOf(found)}.json`)
  await writeFile(file, planText(found.plan))
  return file
}

/** These paths, and before them what was found earlier, if there is anything. */
export async function withFound(paths: readonly string[]): Promise<readonly string[]> {
  const isNamed = paths.some(path => resolve(path) === resolve(foundFolder))
  const isThere = await stat(foundFolder).then(
    found => found.isDirectory(),
    () => false,
  )
  return isThere && !isNamed ? [foundFolder, ...paths] : paths
}

/** Names come from files and plans, which may hold anything. */
function nameOf({ plan }: Found): string {
  return `${plan.name}-${plan.seed}`.replaceAll(/[^\w.-]+/g, '-').replace(/^\.+/, '')
}
