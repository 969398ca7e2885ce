/**
 * What a node may return instead of an answer: values that are no JSON, answers of another shape, and, where they are
 * queued, data larger than any item may be. The engine must refuse each with its code, in the name of the node.
 */
import { EngineError, type ErrorCode } from '../engine/errors.ts'
import { hashUnit } from '../engine/hash.ts'
import type { JsonObject } from '../engine/json.ts'
import { limits } from '../engine/limits.ts'
import type { Elements, NodeKind, NodeOutput, NodeResult, Routed } from '../engine/node/node.ts'

type Spoil = (result: NodeResult, kind: NodeKind) => unknown

/** Something in the data that is not JSON, wherever this kind of node has its data. */
function carrying(value: unknown): Spoil {
  return (result, kind) =>
    onOutput(result, kind, output => ({ ...output, data: { ...output.data, garbage: value } as JsonObject }))
}

function onOutput(result: NodeResult, kind: NodeKind, change: (output: NodeOutput) => unknown): unknown {
  if (kind !== 'conditional' && kind !== 'loop') return change(result as NodeOutput)
  const routed = result as Routed | Elements
  return { ...routed, output: change(routed.output) }
}

function cycle(): unknown {
  const ring: Record<string, unknown> = {}
  ring.again = { ring }
  return ring
}

const ofEveryKind: Readonly<Record<string, Spoil>> = {
  'not a number': carrying(Number.NaN),
  'a date': carrying(new Date(0)),
  'a function': carrying(() => 0),
  'a cycle': carrying(cycle()),
  'a hole': carrying(undefined),
  'a big integer': carrying(1n),
  'a map': carrying(new Map()),
  'no data': (result, kind) => onOutput(result, kind, ({ id, metadata }) => ({ id, metadata })),
  'no metadata': (result, kind) => onOutput(result, kind, ({ id, data }) => ({ id, data })),
  nothing: () => undefined,
  'a text': () => 'done',
}
const ofKind: Partial<Record<NodeKind, Readonly<Record<string, Spoil>>>> = {
  conditional: {
    'a branch that is none': result => ({ ...(result as Routed), route: 'nowhere' }),
    'no branch': result => ({ output: (result as Routed).output }),
  },
  'non-blocking': { 'too much': result => carrying('x'.repeat(limits.payloadBytesMax))(result, 'non-blocking') },
  loop: {
    'no elements': result => ({ output: (result as Elements).output }),
    'elements that are none': result => ({ ...(result as Elements), items: [Number.POSITIVE_INFINITY] }),
  },
}

/** All that nodes of this kind are made to return. */
export function garbageFor(kind: NodeKind): string[] {
  return Object.keys({ ...ofEveryKind, ...ofKind[kind] })
}

/** Which garbage an item is turned into: always the same for the same draw. */
export function pickGarbage(kind: NodeKind, draw: string): string {
  const all = garbageFor(kind)
  return all[Math.floor(hashUnit(draw) * all.length)] as string
}

/** The answer of a node, spoilt. */
export function spoil(result: NodeResult, garbage: string, kind: NodeKind): unknown {
  const spoiling = ofKind[kind]?.[garbage] ?? (ofEveryKind[garbage] as Spoil)
  return spoiling(result, kind)
}

/** What it is refused with. */
const codes: Readonly<Record<string, ErrorCode>> = {
  'a branch that is none': 'ROUTE_UNKNOWN',
  'too much': 'PAYLOAD_TOO_LARGE',
}

/** The error that the reference is told: it looks at no answers itself. */
export function refusalOf(garbage: string): EngineError {
  return new EngineError(codes[garbage] ?? 'OUTPUT_NOT_JSON', `Cannot use the output of the node: it is ${garbage}`)
}
