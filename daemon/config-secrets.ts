/**
 * `${file:/path}` and `${env:NAME}` in values. A secret that cannot be had is a problem that names the key and the place,
 * never what was read. Inside a longer Redis URL it is percent-encoded: the file holds the password as it is.
 */
import { readFile } from 'node:fs/promises'
import { codeOf, messageOf } from '../engine/errors.ts'
import { isJsonObject, type Json } from '../engine/json.ts'
import type { ConfigProblem, ConfigSource, Environment } from './config-source.ts'

const placeholder = /\$\{([^}]*)\}/g

/** Fills in every secret of the source's values; what cannot be filled in becomes a problem. */
export async function fillSecrets(source: ConfigSource, env: Environment): Promise<void> {
  const fill = async (value: Json, words: readonly string[]): Promise<Json> => {
    if (typeof value === 'string') return fillText(value, words.join('.'), { source, env })
    if (Array.isArray(value)) return Promise.all(value.map(item => fill(item, words)))
    if (!isJsonObject(value)) return value
    const entries = Object.entries(value).map(
      async ([name, inner]) => [name, await fill(inner, [...words, name])] as const,
    )
    return Object.fromEntries(await Promise.all(entries))
  }
  source.values = (await fill(source.values, [])) as typeof source.values
}

async function fillText(text: string, key: string, from: { source: ConfigSource; env: Environment }): Promise<string> {
  const { source, env } = from
  let filled = text
  for (const [whole, inside = ''] of text.matchAll(placeholder)) {
    const secret = await readSecret(inside, env)
    if (typeof secret === 'object') {
      const at = source.origins.get(key)?.at ?? source.base.at
      source.problems.push({ at, key, message: `${whole} ${secret.problem}` } satisfies ConfigProblem)
      continue
    }
    const isPart = key === 'redis' && whole !== text
    filled = filled.replace(whole, () => (isPart ? encodeURIComponent(secret) : secret))
  }
  return filled
}

async function readSecret(inside: string, env: Environment): Promise<string | { problem: string }> {
  const [, kind, name = ''] = /^(file|env):(.+)$/.exec(inside) ?? []
  if (kind === undefined) return { problem: `is neither $\{file:/path} nor $\{env:NAME}; write one of these` }
  const secret = kind === 'env' ? env[name] : await readFile(name, 'utf8').catch(error => unreadable(error))
  if (typeof secret === 'object') return secret
  if (secret === undefined) return { problem: 'is not set in the environment; set it, or correct the name' }
  const text = secret.replace(/\r?\n$/, '')
  return text === '' ? { problem: 'is empty; put the secret there' } : text
}

function unreadable(error: unknown): { problem: string } {
  const why = codeOf(error) === 'ENOENT' ? 'names a file that does not exist' : `cannot be read (${messageOf(error)})`
  return { problem: `${why}; create it, or correct the path` }
}
