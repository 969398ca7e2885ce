/** Scopes for template tests: the data of the goldens, or given data, with runtime variables one can look into. */
import { readFileSync } from 'node:fs'
import type { Json, JsonObject } from '../../engine/json.ts'
import type { TemplateScope } from '../../engine/node/template.ts'

export type Golden = { template: string; expected: string }

export function readGoldens(name: string): { context: { data: JsonObject }; cases: Golden[] } {
  return JSON.parse(readFileSync(new URL(`../goldens/${name}`, import.meta.url), 'utf8'))
}

export type TestScope = TemplateScope & { readonly variables: Map<string, Json> }

export function scopeOf(data: JsonObject, variables = new Map<string, Json>()): TestScope {
  const runtime = {
    get: (key: string) => variables.get(key),
    set: (key: string, value: Json) => void variables.set(key, value),
    delete: (key: string) => void variables.delete(key),
  }
  const workflowenv = { API: 'https://example.test' }
  return { data, workflowenv, runtime, iteration: { loop: 'n1', iteration: 3, run: 'r1' }, variables }
}

/** Freezes a value and everything in it, so that a write throws. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const child of Object.values(value)) deepFreeze(child)
  }
  return value
}
