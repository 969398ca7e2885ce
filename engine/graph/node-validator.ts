/**
 * One node of the file becomes one node of the graph: its class found, its form compiled, its settings checked. What
 * is wrong is reported per key, and a node is given up only when its type is unknown.
 */
import { messageOf } from '../errors.ts'
import type { Json } from '../json.ts'
import { limits } from '../limits.ts'
import { compileForm } from '../node/form.ts'
import type { NodeClass, WorkflowType } from '../node/node.ts'
import type { NodeRegistry } from '../node/node-registry.ts'
import type { FlowNode } from './flow-graph.ts'
import { type Problems, pointerKey, quoted } from './problems.ts'
import { foldPort, type ParsedNode } from './workflow.ts'
import { shown } from './workflow-settings.ts'

export type ValidationContext = { registry: NodeRegistry; type: WorkflowType; strict: boolean; problems: Problems }

/** `hasPorts` is false when the form is too broken to say which branches the node offers. */
export type ValidNode = { flow: FlowNode; hasPorts: boolean }

/** `targets` of the result is empty: queues are mapped later. Undefined when the type is unknown. */
export function validateNode(node: ParsedNode, context: ValidationContext): ValidNode | undefined {
  const { registry, problems } = context
  const nodeClass = registry.get(node.type)
  if (nodeClass === undefined) {
    if (node.type !== '') reportUnknownType(node, context)
    return undefined
  }
  if (!nodeClass.workflowTypes.includes(context.type)) {
    const role = nodeClass.kind === 'producer' ? 'producer' : 'node'
    const message = `the ${role} "${nodeClass.identifier}" does not work in workflows of type "${context.type}"`
    problems.add(node.at.type, 'UNSUPPORTED_TYPE', message, `it works in ${quoted(nodeClass.workflowTypes)}`)
  }
  const compiled = compileForm(nodeClass.form, node.form, { strict: context.strict })
  for (const { field, ...problem } of compiled.problems) {
    problems.addOfField(`${node.at.form}${pointerKey(field)}`, problem)
  }
  const ports = compiled.problems.length === 0 ? portsOf(nodeClass, node, compiled.form.values, problems) : undefined
  const flow: FlowNode = {
    id: node.id,
    class: nodeClass,
    config: node.config,
    form: compiled.form,
    ports: ports ?? [],
    timeoutMs: timeoutOf(node, nodeClass, problems),
    targets: [],
  }
  return { flow, hasPorts: ports !== undefined }
}

function reportUnknownType(node: ParsedNode, { registry, problems }: ValidationContext): void {
  const near = registry.suggest(node.type)
  const hint = near === undefined ? 'see "theoneeye nodes" for all types' : `did you mean "${near}"?`
  problems.add(node.at.type, 'UNKNOWN_TYPE', `unknown node type ${shown(node.type)}`, hint)
}

/** A custom class may throw here; that is a problem of the file's node, not a crash of the loader. */
function portsOf(
  nodeClass: NodeClass,
  node: ParsedNode,
  values: FlowNode['form']['values'],
  problems: Problems,
): string[] | undefined {
  try {
    return [...new Set(nodeClass.ports(values).map(foldPort))]
  } catch (error) {
    problems.add(node.at.form, 'PORTS_FAILED', `the branches of "${node.id}" cannot be told: ${messageOf(error)}`)
    return undefined
  }
}

const timeoutSecondsMax = 1_000_000_000

function timeoutOf(node: ParsedNode, nodeClass: NodeClass, problems: Problems): number {
  const given: Json | undefined = node.config.timeout_seconds
  if (given === undefined || given === null) return nodeClass.untimed ? 0 : limits.nodeTimeoutMs
  if (typeof given === 'number' && given > 0 && given <= timeoutSecondsMax) return Math.ceil(given * 1000)
  const wanted = `a number of seconds above 0, at most ${timeoutSecondsMax}`
  problems.add(`${node.at.config}/timeout_seconds`, 'TIMEOUT', `must be ${wanted}, is ${shown(given)}`)
  return limits.nodeTimeoutMs
}
