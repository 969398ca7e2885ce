/**
 * Keeps the secrets of a node out of what is told of it: errors, which go to events, dead letters, logs and answers, and
 * what it logs itself. Whatever quotes a secret field of its form, as it stands there or as it was rendered, is blanked.
 * What a node puts out is its author's to decide; traces blank that too (see trace/redact.ts).
 */
import { codeOf, EngineError, messageOf } from '../errors.ts'
import type { FlowNode } from '../graph/flow-graph.ts'
import type { JsonObject } from '../json.ts'
import type { NodeClass } from '../node/node.ts'
import { namedVariables, secretCharsMin, withoutSecrets } from '../trace/redact.ts'

/** `form`: as rendered, once it is. */
type Whose = { node: FlowNode; form: JsonObject | undefined; env: JsonObject }

/** By class, for a node may log with every item. */
const known = new WeakMap<NodeClass, readonly string[]>()

function secretFields(nodeClass: NodeClass): readonly string[] {
  const names =
    known.get(nodeClass) ??
    Object.entries(nodeClass.form.fields).flatMap(([name, { secret }]) => (secret ? [name] : []))
  known.set(nodeClass, names)
  return names
}

/** The texts of its secrets, the longest first, also as they stand in JSON and in addresses. */
export function secretTexts({ node, form, env }: Whose): string[] {
  const names = secretFields(node.class)
  if (names.length === 0) return []
  const values = names.flatMap(name => {
    const given = node.form.values[name]
    const variables = typeof given === 'string' ? namedVariables(given) : []
    return [form?.[name], given, ...variables.map(variable => env[variable])]
  })
  const texts = values.filter(value => typeof value === 'string').filter(text => text.length >= secretCharsMin)
  const spelled = texts.flatMap(text => [text, JSON.stringify(text).slice(1, -1), inAddress(text)])
  return [...new Set(spelled)].sort((a, b) => b.length - a.length)
}

function inAddress(text: string): string {
  try {
    return encodeURIComponent(text)
  } catch {
    // half of a character has no such form
    return text
  }
}

/** The same error, or one that tells the same without the secrets. */
export function withoutSecretsOf(error: unknown, whose: Whose): unknown {
  const secrets = secretTexts(whose)
  if (secrets.length === 0) return error
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const told = `${messageOf(error)}\n${stack}`
  if (!secrets.some(secret => told.includes(secret))) return error
  const hide = (text: string): string => withoutSecrets(text, secrets) as string
  const message = hide(messageOf(error))
  if (!(error instanceof Error)) return message
  const { name } = error
  const code = codeOf(error)
  const other =
    error instanceof EngineError
      ? new EngineError(error.code, message, { details: error.details })
      : Object.assign(new Error(message), { name, ...(code === undefined ? {} : { code }) })
  other.stack = hide(stack)
  return other
}
