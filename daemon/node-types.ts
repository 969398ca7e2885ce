/** Finding a node type by the name that a request gives. */
import type { NodeClass } from '../engine/node/node.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { ApiError } from './http-errors.ts'

/** Throws NODE_TYPE_UNKNOWN, with the name that was meant. */
export function requireNodeType(registry: NodeRegistry, type: string): NodeClass {
  const nodeClass = registry.get(type)
  if (nodeClass !== undefined) return nodeClass
  const similar = registry.suggest(type.slice(0, 200))
  const advice = similar === undefined ? 'see /api/nodes/flat' : `did you mean "${similar}"?`
  throw new ApiError(404, 'NODE_TYPE_UNKNOWN', `Cannot find node type "${type.slice(0, 200)}": ${advice}`)
}
