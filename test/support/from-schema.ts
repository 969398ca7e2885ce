/** Values of a JSON schema as the OpenAPI document has them, and values that are nearly so. */
import fc from 'fast-check'
import { isJsonObject, type Json, type JsonObject } from '../../engine/json.ts'

const hostile: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    -1,
    0.5,
    1e308,
    '',
    'a\u0000b',
    '\ud800',
    '{{',
    '{{ data.x }}',
    '../../etc/passwd',
    [],
    {},
  ),
  fc.constantFrom('__proto__', 'constructor', 'toString').map(key => ({ [key]: { polluted: true } }) as JsonObject),
  fc.string({ maxLength: 300 }),
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
)

/** Mostly what the schema asks for; one value in ten is something else. */
export function nearly(schema: JsonObject): fc.Arbitrary<Json> {
  return fc.oneof({ arbitrary: fitting(schema), weight: 9 }, { arbitrary: hostile, weight: 1 })
}

function fitting(schema: JsonObject): fc.Arbitrary<Json> {
  const { anyOf, enum: choices, const: only, type, items, properties, required } = schema
  if (only !== undefined) return fc.constant(only)
  if (Array.isArray(choices)) return fc.constantFrom(...choices)
  if (Array.isArray(anyOf)) return fc.oneof(...anyOf.filter(isJsonObject).map(nearly))
  if (type === 'string')
    return fc.oneof(fc.constantFrom('w', 'a', 'hook', '1', '2', 'counter', 'log'), fc.string({ maxLength: 20 }))
  if (type === 'integer') return fc.integer({ min: -2, max: 200 })
  if (type === 'number') return fc.oneof(fc.integer({ min: -1_000, max: 1_000 }), fc.double({ noNaN: true }))
  if (type === 'boolean') return fc.boolean()
  if (type === 'array') return fc.array(isJsonObject(items) ? nearly(items) : hostile, { maxLength: 3 })
  if (type === 'object') return objectOf(properties, required)
  return hostile
}

function objectOf(properties: Json | undefined, required: Json | undefined): fc.Arbitrary<Json> {
  if (!isJsonObject(properties))
    return fc.dictionary(fc.constantFrom('a', 'nodes', 'max_value', '__proto__', 'x'), hostile, { maxKeys: 3 })
  const known = Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, nearly(value as JsonObject)]))
  const must = Array.isArray(required) ? (required as string[]) : []
  return fc
    .record(known, { requiredKeys: must })
    .chain(value =>
      fc.oneof({ arbitrary: fc.constant(value), weight: 9 }, { arbitrary: less(value), weight: 1 }),
    ) as fc.Arbitrary<Json>
}

/** Without one of its keys. */
function less(value: object): fc.Arbitrary<object> {
  const keys = Object.keys(value)
  if (keys.length === 0) return fc.constant(value)
  return fc.constantFrom(...keys).map(gone => Object.fromEntries(Object.entries(value).filter(([key]) => key !== gone)))
}
