import fc from 'fast-check'
import { it } from 'vitest'
import { canonicalJson, isJsonObject, type Json } from '../../engine/json.ts'

/** As plainly as it can be said. */
function plainly(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(plainly).join(',')}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const keys = Object.keys(value).sort()
  return `{${keys.map(key => `${JSON.stringify(key)}:${plainly(value[key] as Json)}`).join(',')}}`
}

it('canonicalJson sorts keys and changes nothing else, whatever they are', () => {
  const values = fc.oneof(
    fc.jsonValue({ stringUnit: 'binary' }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), fc.double({ noNaN: true }), {
      minKeys: 20,
      maxKeys: 60,
      size: 'max',
    }),
  )
  fc.assert(fc.property(values, value => canonicalJson(value as Json) === plainly(value as Json)))
})
