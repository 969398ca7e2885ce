/** Writes a file. Effects on files happen at least once: an item processed again is written again. */
import type { JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { anyText, choice, text } from '../../node/form-fields.ts'
import { BlockingNode, type NodeOutput } from '../../node/node.ts'

type Values = { file_path: string; mode: 'w' | 'a'; content?: string }

export class FileWriter extends BlockingNode {
  static override identifier = 'file-writer'
  static override effects = 'outside' as const
  static override category = 'Files'
  static override label = 'File writer'
  static override description = 'Writes a file below the files directory, or appends to it'
  static override example: JsonObject = { file_path: 'out/orders.jsonl', mode: 'a' }
  static override form = defineForm({
    file_path: text({ label: 'File', help: 'Below the files directory; folders are made', required: true }),
    mode: choice({ label: 'Mode', default: 'w', labels: { w: 'Overwrite (w)', a: 'Append (a)' } }),
    content: anyText({ label: 'Content', help: 'Empty: the data as JSON, on one line when appending' }),
  })

  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const { file_path: path, mode, content } = context.form as Values
    const written = content ?? JSON.stringify(input.data, null, mode === 'a' ? 0 : 2)
    await context.files.write(path, mode === 'a' && !written.endsWith('\n') ? `${written}\n` : written, mode)
    return input
  }
}
