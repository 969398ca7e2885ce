import { describe, expect, it } from 'vitest'
import {
  definitionsNumber,
  listDefinitions,
  readDefinition,
  removeDefinition,
  writeDefinition,
} from '../../../engine/store/definitions.ts'
import { Bench } from '../../support/engine-bench.ts'

const body = { file: { nodes: [], name: 'a\nb|é' }, active: true, about: { tags: ['x'] } }

describe('definitions', () => {
  it('are kept as they were given, with times and a version that counts', async () => {
    const { redis } = new Bench()
    expect(await writeDefinition(redis, 'one', body, { expected: 'new', now: 10 })).toBe(1)
    expect(await writeDefinition(redis, 'one', { ...body, active: false }, { expected: 1, now: 20 })).toBe(2)
    expect(await readDefinition(redis, 'one')).toEqual({
      ...body,
      ...{ id: 'one', version: 2, createdAt: 10, updatedAt: 20, active: false },
    })
    expect(await listDefinitions(redis)).toHaveLength(1)
    expect(await definitionsNumber(redis)).toBe('2')
  })

  it('are not written over a version that the writer has not seen', async () => {
    const { redis } = new Bench()
    await writeDefinition(redis, 'one', body, { expected: 'new', now: 10 })
    const write = (expected: number | 'new' | 'any', id = 'one') =>
      writeDefinition(redis, id, body, { expected, now: 20 })
    await expect(write('new')).rejects.toThrow(/choose another id/)
    await expect(write(7)).rejects.toThrow(/version 7.*version 1/)
    await expect(write(1, 'two')).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' })
    expect(await write('any')).toBe(2)
    expect(await write('any', 'two')).toBe(1)
  })

  it('are removed, once', async () => {
    const { redis } = new Bench()
    await writeDefinition(redis, 'one', body, { expected: 'new', now: 10 })
    await removeDefinition(redis, 'one', { expected: 1, now: 20 })
    expect(await readDefinition(redis, 'one')).toBeUndefined()
    const again = removeDefinition(redis, 'one', { expected: 'any', now: 30 })
    await expect(again).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' })
  })
})
