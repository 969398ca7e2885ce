/**
 * Where configuration values come from: the YAML file, and over it the environment. Each value keeps its origin, so that
 * a problem can name the line or the variable, and a path can be taken from the right folder.
 */
import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { YAMLMap } from 'yaml'
import { codeOf, messageOf } from '../engine/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import { type ConfigKey, configKeys } from './config-schema.ts'
import { didYouMean } from './did-you-mean.ts'

/** `at`: `theoneeye.yaml:3`, or the variable; `key`: `log.level`, or empty for the whole. */
export type ConfigProblem = { at: string; key: string; message: string }
export type Origin = { at: string /** what relative paths are relative to */; dir: string }

export type ConfigSource = {
  values: JsonObject
  origins: Map<string, Origin>
  problems: ConfigProblem[]
  warnings: ConfigProblem[]
  /** Where what is not given stands: the file, or the working directory. */
  base: Origin
}

/** Options of the command line that are keys of the same name. */
export type GivenOptions = { redis?: string | undefined; nodes?: string | undefined; data?: string | undefined }
export type Environment = Readonly<Record<string, string | undefined>>

type Yaml = typeof import('yaml')

/** Only where there is something to read: it takes as long to load as the HTTP server. */
function loadYaml(): Promise<Yaml> {
  return import('yaml')
}

const fileBytesMax = 1024 * 1024
/** Variables of ours that are no keys of the configuration. */
const otherVariables = new Set(['THEONEEYE_PLAN'])

/** `path` undefined: no file. Never rejects. */
export async function readConfigFile(path: string | undefined, cwd: string): Promise<ConfigSource> {
  const base = path === undefined ? { at: 'the configuration', dir: cwd } : { at: basename(path), dir: dirname(path) }
  const source: ConfigSource = { values: {}, origins: new Map(), problems: [], warnings: [], base }
  if (path === undefined) return source
  try {
    const text = await readFile(path, 'utf8')
    if (text.length > fileBytesMax) refuse(source, 'the file is larger than 1 MiB; is it the right one?')
    else parseYaml(await loadYaml(), text, source)
  } catch (error) {
    const reasons: Record<string, string> = { ENOENT: 'there is no such file', EISDIR: 'it is a folder' }
    const why = reasons[codeOf(error) ?? ''] ?? messageOf(error)
    refuse({ ...source, base: { ...base, at: path } }, `${why}; name a configuration file with --config`)
  }
  return source
}

function refuse(source: ConfigSource, message: string): void {
  source.problems.push({ at: source.base.at, key: '', message })
}

function parseYaml(yaml: Yaml, text: string, source: ConfigSource): void {
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false })
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0])
    const at = `${source.base.at}:${line}:${col}`
    source.problems.push({ at, key: '', message: `not YAML: ${error.message}; correct it there` })
  }
  if (source.problems.length > 0 || document.contents === null) return
  if (!yaml.isMap(document.contents)) {
    refuse(source, 'is no map of keys; write lines such as "listen: 127.0.0.1:7878"')
    return
  }
  try {
    source.values = withoutNulls(document.toJS() as JsonObject)
  } catch (error) {
    refuse(source, `cannot be taken as it is: ${messageOf(error)}; write it without aliases`)
    return
  }
  for (const [key, offset] of placesIn(yaml, document.contents, [])) {
    source.origins.set(key, { ...source.base, at: `${source.base.at}:${lines.linePos(offset).line}` })
  }
}

/** A key with nothing behind it is as good as none: `trace:` with all its keys commented out. */
function withoutNulls(values: JsonObject): JsonObject {
  const given = Object.entries(values).filter(([, value]) => value !== null)
  return Object.fromEntries(given.map(([key, value]) => [key, isJsonObject(value) ? withoutNulls(value) : value]))
}

/** Where each key stands: `log.level` and an offset into the text. */
function placesIn(yaml: Yaml, map: YAMLMap, above: readonly string[]): [string, number][] {
  return map.items.flatMap(({ key, value }): [string, number][] => {
    if (!yaml.isScalar(key)) return []
    const words = [...above, String(key.value)]
    const inner = yaml.isMap(value) ? placesIn(yaml, value, words) : []
    return [[words.join('.'), key.range?.[0] ?? 0], ...inner]
  })
}

/** Lays the variables `THEONEEYE_…` over what the file says; an empty one counts as not set. */
export async function addEnvironment(source: ConfigSource, env: Environment, cwd: string): Promise<void> {
  const byName = new Map(configKeys.map(key => [key.env, key]))
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('THEONEEYE_') || text === undefined || text === '' || otherVariables.has(name)) continue
    const key = byName.get(name)
    if (key === undefined) {
      // a warning, not a problem: container platforms set variables such as THEONEEYE_PORT on their own
      const message = `no key is called so${didYouMean(name, byName.keys())}; it is ignored`
      source.warnings.push({ at: name, key: '', message })
      continue
    }
    setValue(source.values, key.path.split('.'), await givenValue(key, text))
    source.origins.set(key.path, { at: name, dir: cwd })
  }
}

/** Lays options of the command line over everything else. */
export function addOptions(source: ConfigSource, options: GivenOptions, cwd: string): void {
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    source.values[key] = value
    source.origins.set(key, { at: `--${key}`, dir: cwd })
  }
}

/** The text itself where the key takes text; else what the text would be in the file: a number, a list. */
async function givenValue(key: ConfigKey, text: string): Promise<Json> {
  if (key.schema.safeParse(text).success || key.holds !== undefined) return text
  try {
    return (await loadYaml()).parse(text) as Json
  } catch {
    return text
  }
}

function setValue(values: JsonObject, words: readonly string[], value: Json): void {
  const [word, ...rest] = words as [string, ...string[]]
  if (rest.length === 0) {
    values[word] = value
    return
  }
  const inner = values[word]
  const group = isJsonObject(inner ?? null) ? (inner as JsonObject) : {}
  values[word] = group
  setValue(group, rest, value)
}
