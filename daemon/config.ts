/**
 * The configuration of the daemon: read, completed, checked. Every problem is said at once, with the line or the variable
 * it comes from, what is wrong, and what to do; nothing secret is ever shown.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { z } from 'zod'
import { EngineError } from '../engine/errors.ts'
import { shown } from '../engine/graph/workflow-settings.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import {
  type ConfigInput,
  type ConfigKey,
  configGroups,
  configKeys,
  configSchema,
  type DaemonConfig,
} from './config-schema.ts'
import { fillSecrets } from './config-secrets.ts'
import {
  addEnvironment,
  addOptions,
  type ConfigProblem,
  type ConfigSource,
  type Environment,
  type GivenOptions,
  readConfigFile,
} from './config-source.ts'
import { didYouMean } from './did-you-mean.ts'

export type { ConfigInput, DaemonConfig } from './config-schema.ts'
export type { ConfigProblem, Environment } from './config-source.ts'

export const configFileDefault = 'theoneeye.yaml'

export type LoadedConfig = {
  config: DaemonConfig
  warnings: string[] /** the file that was read, absolute */
  path: string | undefined
}
export type LoadConfigOptions = {
  /** default: `theoneeye.yaml` if it is there */ path?: string | undefined
  env: Environment
  cwd: string
  /** Options of the command line, which win over variables, which win over the file. */
  given?: GivenOptions
}

/** Reads the file and the environment. Rejects with `CONFIG_INVALID`: every problem on a line of its own, `details` as data. */
export async function loadConfig(options: LoadConfigOptions): Promise<LoadedConfig> {
  const { env, cwd } = options
  const fallback = resolve(cwd, configFileDefault)
  const path = options.path === undefined ? existingOr(fallback) : resolve(cwd, options.path)
  const source = await readConfigFile(path, cwd)
  await addEnvironment(source, env, cwd)
  addOptions(source, options.given ?? {}, cwd)
  const config = await complete(source, env)
  return { config, warnings: source.warnings.map(formatConfigProblem), path }
}

/** The same for values of a program; relative paths are taken from `cwd`. Rejects with `CONFIG_INVALID`. */
export async function completeConfig(input: ConfigInput, cwd: string): Promise<DaemonConfig> {
  const base = { at: 'the configuration', dir: cwd }
  const values = structuredClone(input) as JsonObject
  return complete({ values, origins: new Map(), problems: [], warnings: [], base }, {})
}

/** `theoneeye.yaml:3: lease_seconds: is "ten"; give a number of seconds from 1 to 3600` */
export function formatConfigProblem({ at, key, message }: ConfigProblem): string {
  return `${at}: ${key === '' ? '' : `${key}: `}${message}`
}

/** The keys whose values differ, and whether each may change while the daemon runs. */
export function changedKeys(from: DaemonConfig, to: DaemonConfig): { key: string; takes: 'reload' | 'restart' }[] {
  return configKeys
    .filter(({ path }) => JSON.stringify(valueAt(from, path)) !== JSON.stringify(valueAt(to, path)))
    .map(({ path, takes }) => ({ key: path, takes: takes ?? 'restart' }))
}

function existingOr(path: string): string | undefined {
  return existsSync(path) ? path : undefined
}

async function complete(source: ConfigSource, env: Environment): Promise<DaemonConfig> {
  // problems show what was written, never what was filled in
  const written = { ...source }
  await fillSecrets(source, env)
  const { data, error } = configSchema.safeParse(source.values)
  const missing = new Set(source.problems.map(({ key }) => key))
  // a value with a hole where its secret should be is not worth a second problem
  const found = (error?.issues ?? [])
    .flatMap(issue => problemsOf(issue, written))
    .filter(({ key }) => !missing.has(key))
  source.problems.push(...found)
  if (data === undefined || source.problems.length > 0) throw invalid(source.problems)
  for (const key of configKeys) if (key.holds === 'path') resolvePath(data, key, source)
  return data
}

function problemsOf(issue: z.core.$ZodIssue, source: ConfigSource): ConfigProblem[] {
  const words = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') return issue.keys.map(name => unknownKey([...words, name].join('.'), source))
  const key = configKeys.find(({ path }) => path === words.join('.') || words.join('.').startsWith(`${path}.`))
  if (key === undefined) return [wrongGroup(words.join('.'), source)]
  const value = key.holds === 'secret' ? '' : `is ${shown(valueAt(source.values, words.join('.')) ?? null)}; `
  const message = issue.code === 'custom' ? `${issue.message}; give ${key.wants}` : `${value}give ${key.wants}`
  return [{ at: whereIs(key.path, source), key: key.path, message }]
}

function unknownKey(key: string, source: ConfigSource): ConfigProblem {
  const known = [...configKeys.map(({ path }) => path), ...configGroups]
  const message = `there is no such key${didYouMean(key, known)}`
  return { at: whereIs(key, source), key, message: message.endsWith('?') ? message : `${message}; remove it` }
}

/** A group such as `log` that holds something else than keys; or the whole. */
function wrongGroup(key: string, source: ConfigSource): ConfigProblem {
  const inner = configKeys
    .filter(({ path }) => path.startsWith(`${key}.`))
    .map(({ path }) => path.slice(key.length + 1))
  const value = shown(valueAt(source.values, key) ?? null)
  return { at: whereIs(key, source), key, message: `is ${value}; give keys under it: ${inner.join(', ')}` }
}

function whereIs(key: string, source: ConfigSource): string {
  return source.origins.get(key)?.at ?? source.base.at
}

function resolvePath(config: DaemonConfig, key: ConfigKey, source: ConfigSource): void {
  const words = key.path.split('.')
  const group = valueAt(config, words.slice(0, -1).join('.')) as JsonObject
  const name = words.at(-1) as string
  const value = group[name]
  if (typeof value === 'string') group[name] = resolve((source.origins.get(key.path) ?? source.base).dir, value)
}

function valueAt(values: object, key: string): Json | undefined {
  let value: Json | undefined = values as JsonObject
  for (const word of key.split('.').filter(Boolean)) {
    value = typeof value === 'object' && value !== null ? (value as JsonObject)[word] : undefined
  }
  return value
}

function invalid(problems: readonly ConfigProblem[]): EngineError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  const inOrder = problems.toSorted((a, b) => a.at.localeCompare(b.at, 'en', { numeric: true }))
  const lines = inOrder.map(problem => `\n  ${formatConfigProblem(problem)}`)
  return new EngineError('CONFIG_INVALID', `Cannot use the configuration: ${count}:${lines.join('')}`, {
    details: inOrder,
  })
}
