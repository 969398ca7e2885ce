/** The merge at a join: key by key against the base (spec 1.3). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../engine/json.ts'
import { mergeOutputs } from '../../../engine/run/merge.ts'

const output = (data: JsonObject, id = 'item') => ({ id, data, metadata: { from: id } })
const merged = (base: JsonObject, ...branches: JsonObject[]) =>
  mergeOutputs(
    output(base),
    branches.map(data => output(data)),
  ).data

describe('mergeOutputs', () => {
  test.each<[string, JsonObject, JsonObject[], JsonObject]>([
    [
      'each branch adds a key of its own',
      { a: 1 },
      [
        { a: 1, b: 2 },
        { a: 1, c: 3 },
      ],
      { a: 1, b: 2, c: 3 },
    ],
    ['one sets, one keeps: the set one', { a: 1 }, [{ a: 1 }, { a: 2 }], { a: 2 }],
    ['two set the same: once', { a: 1 }, [{ a: { x: [1] } }, { a: { x: [1] } }], { a: { x: [1] } }],
    ['two set differently: in edge order', {}, [{ r: 'first' }, { r: 'second' }], { r: 'first', r_2: 'second' }],
    ['three set differently', {}, [{ r: 1 }, { r: 2 }, { r: 3 }], { r: 1, r_2: 2, r_3: 3 }],
    ['a set back to the base counts as kept', { a: 1 }, [{ a: 1 }, { a: 1 }], { a: 1 }],
    ['one deletes, one keeps: kept', { a: 1 }, [{}, { a: 1 }], { a: 1 }],
    ['one deletes, one sets: set', { a: 1 }, [{}, { a: 2 }], { a: 2 }],
    ['all delete: gone', { a: 1, b: 2 }, [{ b: 2 }, { b: 2 }], { b: 2 }],
    ['a key that stands for itself is not taken', {}, [{ r: 1, r_2: 'mine' }, { r: 2 }], { r: 1, r_2: 'mine', r_3: 2 }],
    ['null is a value', { a: 1 }, [{ a: null }, { a: 1 }], { a: null }],
    ['equal whatever the order of keys', {}, [{ r: { x: 1, y: 2 } }, { r: { y: 2, x: 1 } }], { r: { x: 1, y: 2 } }],
  ])('%s', (_name, base, branches, expected) => {
    expect(merged(base, ...branches)).toEqual(expected)
  })

  test('id and metadata come from the first branch', () => {
    const result = mergeOutputs(output({}), [output({ a: 1 }, 'first'), output({ b: 2 }, 'second')])
    expect(result).toEqual({ id: 'first', data: { a: 1, b: 2 }, metadata: { from: 'first' } })
  })

  const data = fc.dictionary(fc.constantFrom('a', 'b', 'a_2'), fc.constantFrom(1, 2, null, 'x'))

  test('nothing that a branch set is lost, and nothing is made up', () => {
    fc.assert(
      fc.property(data, fc.array(data, { minLength: 2, maxLength: 4 }), (base, branches) => {
        const result = merged(base, ...branches)
        const values = Object.values(result)
        for (const branch of branches) {
          for (const [key, value] of Object.entries(branch)) if (base[key] !== value) expect(values).toContain(value)
        }
        const known = [base, ...branches].flatMap(each => Object.values(each))
        for (const value of values) expect(known).toContain(value)
      }),
    )
  })

  test('branches that changed nothing merge to the base', () => {
    fc.assert(
      fc.property(data, base => {
        expect(merged(base, { ...base }, { ...base })).toEqual(base)
      }),
    )
  })
})

test('a key named __proto__ is a key like any other', () => {
  const data = (text: string) => JSON.parse(text) as JsonObject
  const result = merged(
    data('{"__proto__":{"a":1}}'),
    data('{"__proto__":{"a":1},"b":1}'),
    data('{"__proto__":{"a":2}}'),
  )
  expect(JSON.stringify(result)).toBe('{"__proto__":{"a":2},"b":1}')
})
