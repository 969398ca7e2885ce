/** `nodes [TYPE]`: the catalogue of node types, or one of them with its form and an example. */
import { EngineError } from '../../engine/errors.ts'
import type { JsonObject } from '../../engine/json.ts'
import type { NodeDescription } from '../../engine/node/node-registry.ts'
import type { Output } from '../output.ts'
import { openRegistry } from '../session.ts'
import { type AddCommand, short, withJson, withNodes } from './command.ts'

export const addNodes: AddCommand = (program, register) => {
  const command = program
    .command('nodes')
    .description('list the node types, or show one with its form and an example')
    .argument('[type]', 'a node type or one of its aliases')
  register(withNodes(withJson(command)), (out, [type], options) => nodes(out, type, options))
}

async function nodes(out: Output, type: string | undefined, options: { nodes?: string }): Promise<number> {
  const registry = await openRegistry(options)
  if (type === undefined) {
    const all = registry.types().flatMap(each => registry.describe(each.identifier) ?? [])
    for (const each of all) out.json(each)
    const rows = all.map(each => [each.type, each.kind, each.category, each.description])
    out.table(['type', 'kind', 'category', 'what it does'], rows)
    out.text('\nTry: theoneeye nodes TYPE')
    return 0
  }
  const description = registry.describe(type)
  if (description === undefined) {
    const similar = registry.suggest(type)
    const advice = similar === undefined ? 'see theoneeye nodes' : `did you mean "${similar}"?`
    throw new EngineError('USAGE', `Cannot show node type "${type}": there is none of that name; ${advice}`)
  }
  out.json(description)
  printText(out, description, registry.get(type)?.example ?? {})
  return 0
}

function printText(out: Output, node: NodeDescription, example: JsonObject): void {
  out.text(`${out.bold(node.type)} — ${node.label}: ${node.description}`)
  const facts = [node.kind, `pool ${node.pool}`, `effects ${node.effects}`, `ports ${node.ports.join(', ')}`]
  const aliases = node.aliases.length === 0 ? [] : [`also known as ${node.aliases.join(', ')}`]
  out.text([...facts, `in ${node.workflow_types.join(' and ')} workflows`, ...aliases].join(' · '))
  if (node.form.length > 0) out.text()
  const rows = node.form.map(field => {
    const value = field.value === null ? '' : short(JSON.stringify(field.value), 40)
    const choices = field.options.map(option => String(option.value)).join(', ')
    return [
      field.name,
      field.required ? 'required' : '',
      value,
      choices === '' ? field.help : `${field.help} (${choices})`,
    ]
  })
  if (rows.length > 0) out.table(['field', '', 'default', 'what it is'], rows)
  out.text('\nExample:')
  out.text(JSON.stringify({ id: 'n1', type: node.type, data: { form: example } }, null, 2))
}
