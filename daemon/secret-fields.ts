/**
 * Secrets in the definitions that go out over HTTP: a secret field of a form, and a variable of the workflow's `env` that
 * such a field names, leave as null. What comes back as null, or not at all, stays what it was (issue 5).
 */
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { namedVariables } from '../engine/trace/redact.ts'

/** The names of a node type's secret fields. */
export function secretFieldsOf(registry: NodeRegistry, type: unknown): string[] {
  const fields = typeof type === 'string' ? (registry.get(type)?.form.fields ?? {}) : {}
  return Object.keys(fields).filter(name => fields[name]?.secret)
}

/** A React-Flow file without its secrets. */
export function withoutSecretFields(file: JsonObject, registry: NodeRegistry): JsonObject {
  const hidden = secretVariables(file, registry)
  const nodes = mapNodes(file, node => withForm(node, form => blanked(form, secretFieldsOf(registry, node.type))))
  return { ...nodes, ...(isJsonObject(file.env) ? { env: blanked(file.env, [...hidden]) } : {}) }
}

/** A React-Flow file as it is to be stored: where a secret is null or missing, that of the file before stands. */
export function withSecretFieldsOf(before: JsonObject, file: JsonObject, registry: NodeRegistry): JsonObject {
  const old = new Map(nodesOf(before).map(node => [node.id, node]))
  const nodes = mapNodes(file, node => {
    const was = old.get(node.id ?? null)
    if (was === undefined || was.type !== node.type) return node
    return withForm(node, form => restored(form, formOf(was), secretFieldsOf(registry, node.type)))
  })
  const env = isJsonObject(file.env) && isJsonObject(before.env) ? before.env : undefined
  if (env === undefined) return nodes
  return { ...nodes, env: restored(file.env as JsonObject, env, nullsOf(file.env as JsonObject)) }
}

/** A form with null where a secret stands. */
export function blanked(form: JsonObject, names: readonly string[]): JsonObject {
  const there = names.filter(name => Object.hasOwn(form, name))
  return { ...form, ...Object.fromEntries(there.map(name => [name, null])) }
}

/** A form with what stood before wherever one of these fields is null or missing. */
export function restored(form: JsonObject, before: JsonObject, names: readonly string[]): JsonObject {
  const kept = names.filter(name => (form[name] ?? null) === null && Object.hasOwn(before, name))
  return { ...form, ...Object.fromEntries(kept.map(name => [name, before[name] as Json])) }
}

function secretVariables(file: JsonObject, registry: NodeRegistry): Set<string> {
  const texts = nodesOf(file).flatMap(node => {
    const form = formOf(node)
    return secretFieldsOf(registry, node.type).map(name => String(form[name] ?? ''))
  })
  return new Set(texts.flatMap(namedVariables))
}

function nullsOf(env: JsonObject): string[] {
  return Object.keys(env).filter(name => env[name] === null)
}

function nodesOf(file: JsonObject): JsonObject[] {
  return Array.isArray(file.nodes) ? file.nodes.filter(isJsonObject) : []
}

function formOf(node: JsonObject): JsonObject {
  const form = isJsonObject(node.data) ? node.data.form : undefined
  return isJsonObject(form) ? form : {}
}

function mapNodes(file: JsonObject, turn: (node: JsonObject) => JsonObject): JsonObject {
  if (!Array.isArray(file.nodes)) return file
  return { ...file, nodes: file.nodes.map(node => (isJsonObject(node) ? turn(node) : node)) }
}

function withForm(node: JsonObject, turn: (form: JsonObject) => JsonObject): JsonObject {
  const form = turn(formOf(node))
  if (Object.keys(form).length === 0) return node
  return { ...node, data: { ...(isJsonObject(node.data) ? node.data : {}), form } }
}
