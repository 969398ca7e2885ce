/**
 * What a node is: five kinds, one lifecycle. construct → `init()` once → `run(input)` per item → `cleanup()` exactly once.
 * Who calls these is `run/`; a node never runs itself, and everything it may touch is in its `NodeContext`.
 */
import { EngineError } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import type { NodeContext } from './context.ts'
import type { Form } from './form.ts'

export type NodeKind = 'producer' | 'blocking' | 'non-blocking' | 'conditional' | 'loop'
export type Pool = 'async' | 'thread' | 'process'
export type WorkflowType = 'production' | 'api'

/** One unit of work on its way: `id` names it and survives hops, `data` is what nodes read and add to. */
export type NodeOutput = { readonly id: string; readonly data: JsonObject; readonly metadata: JsonObject }

/** A conditional's answer: what goes on, and through which of its ports (see `NodeClass.ports`). */
export type Routed = { readonly output: NodeOutput; readonly route: string }

/** A loop node's answer: its own output, and the elements its body runs for, one after another. */
export type Elements = { readonly output: NodeOutput; readonly items: readonly Json[] }

/** A producer's answer when it has no more items, ever, in this run. Known by `kind`: packages may hold copies of the class. */
export class ExecutionCompleted {
  readonly kind = 'execution-completed'
}

/** A producer's answer when it has no item before `untilMs` (wall clock, epoch milliseconds). It is asked again then. */
export class NotBefore {
  readonly kind = 'not-before'
  readonly untilMs: number
  constructor(untilMs: number) {
    this.untilMs = untilMs
  }
}

export type Produced = NodeOutput | ExecutionCompleted | NotBefore
export type NodeResult = Produced | Routed | Elements

/** What a node is constructed with. */
export type NodeDefinition = { readonly id: string; readonly type: string; readonly config: JsonObject }

export abstract class Node {
  /** The kebab-case type name in workflow files; also the name of the file the class lives in. */
  static identifier = ''
  static aliases: readonly string[] = []
  static kind: NodeKind = 'blocking'
  /** The weakest pool this node is happy in; a loop runs in the strongest that its nodes ask for. */
  static pool: Pool = 'async'
  /** `outside` when the node touches the world beyond the transaction. */
  static effects: 'none' | 'outside' = 'none'
  /** `claimed`: a producer whose items are claimed from queues; `stateful`: it keeps `context.state`. */
  static source: 'claimed' | 'own' = 'own'
  static stateful = false
  /** Writers push what they get to their queues; readers are fed from theirs. */
  static queueRole: 'writer' | 'reader' | undefined
  /** A reader whose items come from outside: more may always come, so that its loop never completes. */
  static endless = false
  /** Without the default time limit of 300 s: producers and delays. */
  static untimed = false
  static workflowTypes: readonly WorkflowType[] = ['production', 'api']
  static category = 'General'
  static label = ''
  static description = ''
  static form: Form
  /** A form that works, for the catalogue. */
  static example: JsonObject = {}
  /** The output ports (branch keys) that a node with this form offers. */
  static ports(_form: JsonObject): readonly string[] {
    return ['default']
  }
  /** The queue that a reader or writer names in its form; without one it has those of its edges. */
  static queueName(form: JsonObject): Json | undefined {
    return form.queue_name
  }

  readonly definition: NodeDefinition
  constructor(definition: NodeDefinition) {
    this.definition = definition
  }

  /** Called once before the first item. Overrides prepare whatever lives as long as the instance. */
  async setup(): Promise<void> {}
  /** The work on one item. Form values, rendered and valid, are in `context.form`. Never changes `input`. */
  abstract execute(input: NodeOutput, context: NodeContext): Promise<NodeResult>
  /** Called exactly once, whatever happened. */
  async cleanup(): Promise<void> {}
}

/** The class itself, as the registry holds it. */
export type NodeClass = (new (definition: NodeDefinition) => Node) & Omit<typeof Node, 'prototype'>

/** Starts a loop: yields one item per iteration. `input` is the claimed item, or an empty one with a fresh id. */
export abstract class ProducerNode extends Node {
  static override kind: NodeKind = 'producer'
  static override untimed = true
  static override workflowTypes: readonly WorkflowType[] = ['production']
  abstract override execute(input: NodeOutput, context: NodeContext): Promise<Produced>
}

/** Everything downstream in the iteration waits for it. */
export abstract class BlockingNode extends Node {
  static override kind: NodeKind = 'blocking'
  abstract override execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput>
}

/** Ends the transaction: what follows it goes on in a loop of its own, through a durable queue (1.4). */
export abstract class NonBlockingNode extends Node {
  static override kind: NodeKind = 'non-blocking'
  abstract override execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput>
}

/** Chooses one of its ports. */
export abstract class ConditionalNode extends Node {
  static override kind: NodeKind = 'conditional'
  static override ports(_form: JsonObject): readonly string[] {
    return ['yes', 'no']
  }
  abstract override execute(input: NodeOutput, context: NodeContext): Promise<Routed>
}

/** Runs its body (what hangs on its `subdag` port) once per element, in order, then goes on by `default`. */
export abstract class LoopNode extends Node {
  static override kind: NodeKind = 'loop'
  static override ports(_form: JsonObject): readonly string[] {
    return ['default', 'subdag']
  }
  abstract override execute(input: NodeOutput, context: NodeContext): Promise<Elements>
}

/** `key`, or `key_2`, `key_3` … when it is taken. */
export function freeKey(data: JsonObject, key: string): string {
  if (!Object.hasOwn(data, key)) return key
  for (let n = 2; ; n++) {
    if (!Object.hasOwn(data, `${key}_${n}`)) return `${key}_${n}`
  }
}

/**
 * The input with a result added under the node's own key (`key_2` … when taken); the input stays as it was.
 * @example withResult({ id: 'a', data: { x: 1 }, metadata: {} }, 'x', 2).data // { x: 1, x_2: 2 }
 */
export function withResult(input: NodeOutput, key: string, value: Json): NodeOutput {
  return { ...input, data: { ...input.data, [freeKey(input.data, key)]: value } }
}

/**
 * What was checked and frozen before: most of an item is handed on, hop after hop, and need not be looked at again. Only
 * what holds many values is remembered: remembering costs as much as looking at some tens of them.
 */
const known = new WeakSet<object>()
const knownValuesMin = 32
let valuesSeen = 0

/**
 * Checks that a value is plain JSON (no NaN, date, undefined, cycle …) and freezes it, so that nobody can change what others
 * were given. `what` names it in the error: OUTPUT_NOT_JSON with the path.
 */
export function freezeJson(value: unknown, what: () => string): asserts value is Json {
  const fault = freeze(value, 0)
  if (fault === undefined) return
  const path = `/${fault.path.join('/')}`
  throw new EngineError(
    'OUTPUT_NOT_JSON',
    `Cannot use ${what()}: ${fault.what} at "${path}" is not JSON; convert it first`,
    {
      details: { path },
    },
  )
}

/** `path` is filled on the way back, from the fault to the root. */
type Fault = { path: string[]; what: string }

function freeze(value: unknown, depth: number): Fault | undefined {
  valuesSeen += 1
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : fault(`number ${value}`)
  if (typeof value !== 'object') return fault(typeof value)
  if (known.has(value)) return undefined
  // a cycle is infinitely deep
  if (depth > limits.jsonDepthMax) return fault(`more than ${limits.jsonDepthMax} levels, or a cycle,`)
  const proto: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && proto !== Object.prototype && proto !== null) return fault('a class instance')
  const seenBefore = valuesSeen
  for (const key of Object.keys(value)) {
    const inside = freeze((value as Record<string, unknown>)[key], depth + 1)
    if (inside === undefined) continue
    // the top of a deep path tells where to look
    if (depth < 10) inside.path.unshift(key)
    return inside
  }
  if (!Object.isFrozen(value)) Object.freeze(value)
  if (valuesSeen - seenBefore >= knownValuesMin) known.add(value)
  return undefined
}

function fault(what: string): Fault {
  return { path: [], what }
}
