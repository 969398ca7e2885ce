/** Writes a line to the log and passes the data on. */
import type { JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { anyText, choice } from '../../node/form-fields.ts'
import { BlockingNode, type NodeOutput } from '../../node/node.ts'

type Values = { message?: string; level: 'debug' | 'info' | 'warn' | 'error' }

export class Log extends BlockingNode {
  static override identifier = 'log'
  static override category = 'Data'
  static override label = 'Log'
  static override description = 'Writes a message to the log'
  static override example: JsonObject = { message: 'order {{ data.id }} is done', level: 'info' }
  static override form = defineForm({
    message: anyText({ label: 'Message', help: 'Empty: the data as JSON' }),
    level: choice({
      label: 'Level',
      default: 'info',
      labels: { debug: 'Debug', info: 'Info', warn: 'Warning', error: 'Error' },
    }),
  })

  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const { message = JSON.stringify(input.data), level } = context.form as Values
    context.log[level](message, { item: input.id })
    return input
  }
}
