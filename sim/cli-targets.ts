/** The disk under `sim`: workflows, the files they read, stored plans. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { generatedSubjects } from './generate-workflow.ts'
import { type Plan, parsePlan } from './plan.ts'
import { compileScenario } from './scenario.ts'
import { filesRead, loadSubject, type Subject } from './subject.ts'

/** `tested`: plans that only a user's test can repeat, by their files. */
export type Targets = {
  subjects: Subject[]
  plans: { subject: Subject; plan: Plan }[]
  tested: { plan: Plan; file: string }[]
}

export function usage(what: string): EngineError {
  return new EngineError('USAGE', `Cannot simulate: ${what}`)
}

/** What there is when nothing is named: a workflow per seed, the folder of scenarios if there is one, and `more`. */
export async function readDefaults(more: readonly string[], options: { registry: NodeRegistry }): Promise<Targets> {
  const isThere = await stat('scenarios').then(
    () => true,
    () => false,
  )
  const paths = isThere ? [...more, 'scenarios'] : more
  const { plans, tested } = paths.length > 0 ? await readTargets(paths, options) : { plans: [], tested: [] }
  return { plans, tested, subjects: [await generatedSubjects(options.registry)] }
}

/** Reads every workflow and plan at these paths. Rejects with `USAGE` or `WORKFLOW_INVALID`. */
export async function readTargets(
  paths: readonly string[],
  options: { registry: NodeRegistry; files?: string },
): Promise<Targets> {
  const { registry } = options
  const targets: Targets = { subjects: [], plans: [], tested: [] }
  for (const file of (await Promise.all(paths.map(filesAt))).flat()) {
    const name = basename(file, extname(file))
    if (/\.ya?ml$/.test(file)) {
      targets.plans.push(...(await readScenario(file, name, registry)))
      continue
    }
    const { text, json } = await readJson(file)
    if ('events' in json && 'settings' in json && 'version' in json) {
      const plan = parsePlan(text, file)
      if (plan.test === undefined) targets.plans.push({ subject: await loadSubject(plan, registry), plan })
      else targets.tested.push({ plan, file })
    } else {
      const files = await readFiles(json, options.files ?? dirname(file))
      targets.subjects.push(await loadSubject({ name, workflow: json, files }, registry))
    }
  }
  if (targets.subjects.length + targets.plans.length + targets.tested.length > 0) return targets
  throw usage(`there is nothing at ${paths.join(', ')}; name a workflow file, a scenario, a folder of them, or a plan`)
}

async function readScenario(file: string, name: string, registry: NodeRegistry): Promise<Targets['plans']> {
  const readWorkflow = async (path: string): Promise<JsonObject> => {
    const from = join(dirname(file), path)
    return (
      await readJson(from).catch(error => {
        throw codeOf(error) === 'ENOENT' ? usage(`"${file}" names the workflow "${path}"; there is no ${from}`) : error
      })
    ).json
  }
  return await compileScenario({ name, text: await readFile(file, 'utf8'), file, registry, readWorkflow })
}

/** A file, or the workflows and scenarios of a folder (not of its subfolders). */
async function filesAt(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = (await readdir(path)).filter(name => /\.(json|ya?ml)$/.test(name)).sort()
    return names.map(name => join(path, name))
  } catch (error) {
    const reason = codeOf(error) === 'ENOENT' ? 'there is no such file or folder' : messageOf(error)
    throw usage(`"${path}": ${reason}; name a workflow file, a scenario, a folder of them, or a plan`)
  }
}

async function readJson(file: string): Promise<{ text: string; json: JsonObject }> {
  const text = await readFile(file, 'utf8')
  try {
    const json = JSON.parse(text) as Json
    if (isJsonObject(json)) return { text, json }
  } catch (error) {
    throw usage(`"${file}" is not JSON: ${messageOf(error)}`)
  }
  throw usage(`"${file}" holds no JSON object`)
}

async function readFiles(workflow: JsonObject, folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const path of filesRead(workflow)) {
    const text = await readFile(join(folder, path), 'utf8').catch(() => undefined)
    if (text !== undefined) files[path] = text
  }
  return files
}
