import { expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import { Log } from '../../../../engine/nodes/data/log.ts'
import { NodeBench } from '../../../support/fake-context.ts'

const table: [JsonObject, string, string][] = [
  [{ message: 'n is {{ data.n }}' }, 'info', 'n is 2'],
  [{ message: '{{ data.list }}', level: 'warn' }, 'warn', '[1]'],
  [{ message: '{{ data.none }}' }, 'info', ''],
  [{}, 'info', '{"n":2,"list":[1]}'],
  [{ message: '', level: 'ERROR' }, 'error', '{"n":2,"list":[1]}'],
]
it.each(table)('log %j', async (form, level, message) => {
  const bench = new NodeBench(Log, form)
  const data = { n: 2, list: [1] }
  expect(await bench.run(data)).toEqual({ id: 'item-1', data, metadata: {} })
  expect(bench.logs).toEqual([{ level, message, fields: { item: 'item-1' } }])
})
