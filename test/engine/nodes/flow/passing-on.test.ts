import { expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import type { NodeClass } from '../../../../engine/node/node.ts'
import { Background } from '../../../../engine/nodes/flow/background.ts'
import { QueueReader } from '../../../../engine/nodes/queues/queue-reader.ts'
import { QueueWriter } from '../../../../engine/nodes/queues/queue-writer.ts'
import { NodeBench } from '../../../support/fake-context.ts'

const table: [string, NodeClass, JsonObject][] = [
  ['background', Background, {}],
  ['queue-writer', QueueWriter, { queue_name: 'orders' }],
  ['queue-reader', QueueReader, {}],
]
it.each(table)('%s passes its item on as it is', async (_name, nodeClass, form) => {
  expect(await new NodeBench(nodeClass, form).run({ a: 1 })).toEqual({ id: 'item-1', data: { a: 1 }, metadata: {} })
})
