/**
 * The node classes a workflow may name. A class that lies about itself would fail late and far away, in somebody's
 * workflow: so it is checked here, once, and refused with what is wrong. The check of a kind looks at the nearest
 * ancestor that declares one instead of using `instanceof`: custom nodes may come with a copy of the base classes.
 */
import { editDistance } from '../edit-distance.ts'
import { EngineError, messageOf } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { builtinNodes } from '../nodes/index.ts'
import { describeForm, type FieldDescription } from './form.ts'
import { dependencyOrder } from './form-state.ts'
import type { NodeClass, NodeKind, Pool, WorkflowType } from './node.ts'

/** A line of the catalogue (`nodes --json`). */
export type NodeDescription = {
  type: string
  aliases: string[]
  kind: NodeKind
  category: string
  label: string
  description: string
  pool: Pool
  effects: 'none' | 'outside'
  ports: string[]
  form: FieldDescription[]
  workflow_types: WorkflowType[]
}

export class NodeRegistry {
  readonly #classes: readonly NodeClass[]
  readonly #byName = new Map<string, NodeClass>()

  /** Throws `NODE_CLASS_INVALID`, naming every class that is wrong and why. */
  constructor(classes: readonly NodeClass[]) {
    const faults: string[] = []
    for (const nodeClass of classes) {
      faults.push(...faultsOf(nodeClass))
      for (const name of namesOf(nodeClass)) {
        const other = this.#byName.get(fold(name))
        if (other === undefined) this.#byName.set(fold(name), nodeClass)
        else faults.push(`${toldOf(nodeClass)}: its name "${name}" is taken by class ${takenBy(other)}; choose another`)
      }
    }
    if (faults.length > 0) {
      const text = `Cannot register node ${faults.join('; node ')}`
      throw new EngineError('NODE_CLASS_INVALID', text, { details: faults })
    }
    this.#classes = [...classes].sort((a, b) => (a.identifier < b.identifier ? -1 : 1))
  }

  /** By identifier or alias; `queue_reader` finds `queue-reader`. */
  get(type: string): NodeClass | undefined {
    return this.#byName.get(fold(type))
  }

  /** The known name that a mistyped one most likely means. */
  suggest(type: string): string | undefined {
    const typed = fold(type.toLowerCase())
    const distanceMax = Math.max(1, Math.min(3, Math.floor(typed.length / 3)))
    let best: { name: string; distance: number } | undefined
    for (const [name, nodeClass] of this.#byName) {
      if (Math.abs(name.length - typed.length) > distanceMax) continue
      const distance = editDistance(typed, name)
      if (distance <= distanceMax && distance < (best?.distance ?? 99)) best = { name: nodeClass.identifier, distance }
    }
    return best?.name
  }

  /** All classes, by identifier. */
  types(): readonly NodeClass[] {
    return this.#classes
  }

  /** Undefined for a type that is not known. */
  describe(type: string): NodeDescription | undefined {
    const nodeClass = this.get(type)
    if (nodeClass === undefined) return undefined
    return {
      type: nodeClass.identifier,
      aliases: [...nodeClass.aliases],
      kind: nodeClass.kind,
      category: nodeClass.category,
      label: nodeClass.label,
      description: nodeClass.description,
      pool: nodeClass.pool,
      effects: nodeClass.effects,
      ports: [...nodeClass.ports(defaultsOf(nodeClass))],
      form: describeForm(nodeClass.form),
      workflow_types: [...nodeClass.workflowTypes],
    }
  }
}

/** The built-in nodes and, after them, those of the user. */
export function defaultRegistry(extra: readonly NodeClass[] = []): NodeRegistry {
  return new NodeRegistry([...builtinNodes, ...extra])
}

function defaultsOf(nodeClass: NodeClass): JsonObject {
  const values: JsonObject = {}
  for (const [name, field] of Object.entries(nodeClass.form.fields)) {
    if (field.default !== undefined) values[name] = field.default
  }
  return values
}

function fold(type: string): string {
  return type.replaceAll('_', '-')
}

/** Where classes come from that were read from files, for whoever has to mend one. */
const origins = new WeakMap<NodeClass, string>()

/** Notes where a class comes from, as it stands in errors: `export "A" of nodes/a.mjs`. The first note stays. */
export function noteOrigin(nodeClass: NodeClass, origin: string): void {
  if (!origins.has(nodeClass)) origins.set(nodeClass, origin)
}

/** `"my-node"`, and where it comes from. */
function toldOf(nodeClass: NodeClass): string {
  const origin = origins.get(nodeClass)
  return `"${nodeClass.identifier || nodeClass.name || '(anonymous class)'}"${origin === undefined ? '' : ` (${origin})`}`
}

function takenBy(other: NodeClass): string {
  const origin = origins.get(other)
  return origin === undefined ? other.name : `${other.name} (${origin})`
}

function namesOf(nodeClass: NodeClass): string[] {
  return [nodeClass.identifier, ...(nodeClass.aliases ?? [])].filter(name => typeof name === 'string' && name !== '')
}

const KEBAB = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/** What may be in a static field, and how it is said. */
const allowed = {
  kind: ['producer', 'blocking', 'non-blocking', 'conditional', 'loop'],
  pool: ['async', 'thread', 'process'],
  effects: ['none', 'outside'],
  source: ['claimed', 'own'],
  queueRole: ['writer', 'reader', undefined],
} as const

function faultsOf(nodeClass: NodeClass): string[] {
  const faults: string[] = []
  const add = (what: string) => faults.push(`${toldOf(nodeClass)}: ${what}`)
  for (const name of [nodeClass.identifier, ...(nodeClass.aliases ?? [])]) {
    if (!KEBAB.test(name)) add(`its name ${JSON.stringify(name)} is not kebab-case; write it like "my-node"`)
  }
  for (const [key, values] of Object.entries(allowed)) {
    const value: unknown = nodeClass[key as keyof typeof allowed]
    if ((values as readonly unknown[]).includes(value)) continue
    const words = values.filter(word => word !== undefined).join(', ')
    add(`its ${key} is ${JSON.stringify(value)}; it must be one of ${words}`)
  }
  const base = baseKind(nodeClass)
  if (base !== nodeClass.kind) {
    add(`its kind is "${nodeClass.kind}" but its base class is for kind "${base}"; extend the base class of its kind`)
  }
  if (typeof nodeClass.form?.fields !== 'object') add('it has no form; declare "static form = defineForm({ … })"')
  else if (formFault(nodeClass) !== undefined) add(`its form is wrong: ${formFault(nodeClass)}`)
  if (typeof nodeClass.prototype?.execute !== 'function') add('it has no method "execute"; write one')
  if (nodeClass.source === 'claimed' && nodeClass.kind !== 'producer') add('only a producer can claim; remove "source"')
  return faults
}

function formFault({ form }: NodeClass): string | undefined {
  try {
    dependencyOrder(form)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** The kind of the nearest ancestor that declares one. */
function baseKind(nodeClass: NodeClass): unknown {
  for (let base: unknown = Object.getPrototypeOf(nodeClass); base !== null; base = Object.getPrototypeOf(base)) {
    if (Object.hasOwn(base as object, 'kind')) return (base as { kind: unknown }).kind
  }
  return undefined
}
