/**
 * Keeps secrets out of traces: what stands in a secret field of a form, and the variables of the workflow's environment
 * that such a field names. The fields are blanked; where a value turns up elsewhere, in an answer of the outside, it is too.
 */
import type { FlowGraph } from '../graph/flow-graph.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'

export const redacted = '[redacted]'

/** Shorter ones would blank half of the text around them. */
export const secretCharsMin = 6

/** The secret texts of a workflow, the longest first. */
export function secretsOf(graph: FlowGraph): string[] {
  const fields = secretFields(graph).map(({ value }) => value)
  const variables = fields.flatMap(text => namedVariables(text)).map(name => graph.workflow.env[name])
  const constants = fields.filter(text => !text.includes('{{') && !text.includes('{%'))
  const texts = [...constants, ...variables].filter(value => typeof value === 'string')
  return [...new Set(texts)].filter(text => text.length >= secretCharsMin).sort((a, b) => b.length - a.length)
}

type SecretField = { node: string; field: string; value: string }

function secretFields({ workflow, nodes }: FlowGraph): SecretField[] {
  return workflow.nodes.flatMap(({ id, form }) => {
    const fields = nodes.get(id)?.class.form.fields ?? {}
    return Object.entries(fields)
      .filter(([name, field]) => field.secret && form[name] !== undefined && form[name] !== '')
      .map(([field]) => ({ node: id, field, value: String(form[field]) }))
  })
}

/** The variables a template names: `workflowenv.TOKEN` and `workflowenv['TOKEN']`. */
export function namedVariables(text: string): string[] {
  const found = text.matchAll(/workflowenv(?:\.(\w+)|\[\s*(?:'([^']*)'|"([^"]*)")\s*\])/g)
  return [...found].map(([, plain, single, double]) => plain ?? single ?? double ?? '')
}

/** The workflow's file with its secret fields, and the variables they name, blanked. */
export function redactWorkflow(graph: FlowGraph, source: JsonObject): JsonObject {
  const secrets = secretFields(graph).filter(({ value }) => namedVariables(value).length === 0)
  const variables = new Set(secretFields(graph).flatMap(({ value }) => namedVariables(value)))
  const env = Object.fromEntries(
    Object.entries(graph.workflow.env).map(([name, value]) => [name, variables.has(name) ? redacted : value]),
  )
  const nodes = (source.nodes as JsonObject[]).map(node => {
    const blank = secrets.filter(secret => secret.node === node.id).map(({ field }) => [field, redacted])
    const data = node.data as JsonObject
    return { ...node, data: { ...data, form: { ...(data.form as JsonObject), ...Object.fromEntries(blank) } } }
  })
  return { ...source, env, nodes }
}

/** The value with every secret in its texts blanked; keys stay. */
export function withoutSecrets(value: Json, secrets: readonly string[]): Json {
  if (secrets.length === 0) return value
  if (typeof value === 'string') return secrets.reduce((text, secret) => text.replaceAll(secret, redacted), value)
  if (Array.isArray(value)) return value.map(item => withoutSecrets(item, secrets))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item, secrets)]))
}

type Path = readonly string[]
const pathsOf = (texts: readonly string[]): Path[] => texts.map(text => text.split('.'))

/** Where a line holds values as JSON texts, by name; and where else it holds what is not of its own making. */
const jsonTexts = pathsOf(['reads.state', 'reads.runtime', 'writes.state', 'writes.runtime'])
const contents = [
  ...jsonTexts,
  ...pathsOf(['entry.item.data', 'entry.item.metadata', 'calls.ask', 'calls.answer', 'calls.error.message']),
  ...pathsOf(['steps.set', 'steps.metadata', 'steps.error.message', 'outcome.error.message']),
  ...pathsOf(['writes.response.headers', 'writes.response.body']),
]

/**
 * Blanks what stands at these keys in the line of a trace: `email` is any key of that name, `customer.email` one below
 * `customer`; list places do not count. Texts that are JSON objects or lists themselves are looked into as well. How the
 * line is made stays as it is, whatever its own keys are called.
 */
export function pathsRedactor(paths: readonly string[]): (line: Json) => Json {
  const wanted = pathsOf(paths)
  const isNamed = (at: Path): boolean => wanted.some(path => path.every((word, i) => at.at(i - path.length) === word))
  const isContent = (at: Path): boolean => contents.some(path => path.every((word, i) => at[i] === word))
  const blank = (value: Json, above: Path): Json => {
    if (typeof value === 'string') return blankText(value, above)
    if (Array.isArray(value)) return value.map(item => blank(item, above))
    if (!isJsonObject(value)) return value
    const entries = Object.entries(value).map(([key, item]): [string, Json] => {
      const at = [...above, key]
      return [key, isContent(above) && isNamed(at) ? blankedAt(above, item) : blank(item, at)]
    })
    return Object.fromEntries(entries)
  }
  const blankText = (text: string, above: Path): string => {
    if (!/^\s*[[{]/.test(text)) return text
    try {
      return JSON.stringify(blank(JSON.parse(text) as Json, above))
    } catch {
      return text
    }
  }
  return line => blank(line, [])
}

/** A variable that is not there, or is deleted, stays so. */
function blankedAt(above: Path, value: Json): Json {
  const isJsonText = jsonTexts.some(path => path.join() === above.join())
  if (!isJsonText) return redacted
  return value === null ? null : JSON.stringify(redacted)
}
