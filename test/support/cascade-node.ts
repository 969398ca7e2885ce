/** A node whose form cascades: a country has cities, a city has streets. */
import { defineForm } from '../../engine/node/form.ts'
import { computedChoice, password, text } from '../../engine/node/form-fields.ts'
import { BlockingNode, type NodeOutput } from '../../engine/node/node.ts'

const cities: Record<string, string[]> = { de: ['berlin', 'bonn'], fr: ['paris'] }
const choicesOf = (values: readonly string[]) => values.map(value => ({ value, label: value.toUpperCase() }))

export class CascadeNode extends BlockingNode {
  static override identifier = 'cascade-node'
  static override label = 'Cascade'
  static override category = 'Tests'
  static override form = defineForm({
    country: text({ label: 'Country' }),
    city: computedChoice({
      label: 'City',
      depends_on: ['country'],
      choicesFor: async ({ country }) => choicesOf(cities[String(country)] ?? []),
    }),
    street: computedChoice({
      label: 'Street',
      depends_on: ['city'],
      choicesFor: ({ city }) => choicesOf(city === null || city === undefined ? [] : [`${city}-1`, `${city}-2`]),
    }),
    token: password({ label: 'Token' }),
  })
  async execute(input: NodeOutput): Promise<NodeOutput> {
    return input
  }
}
