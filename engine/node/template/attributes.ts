/** The attribute paths that filters take (`address.city`, `0`): read once, followed for every element. */
import { failure } from './faults.ts'
import type { Run, Value } from './run.ts'
import { kindOf, lookup, textWork } from './values.ts'

/** A function to what the path leads to. Throws `TEMPLATE_FAILED` for what is no path. */
export function picker(attribute: Value): (run: Run, item: Value) => Value {
  if (typeof attribute === 'number') {
    return (run, item) => {
      run.spend(1 + textWork(item))
      return lookup(item, attribute)
    }
  }
  if (typeof attribute !== 'string') throw failure(`an attribute is a name or path, not ${kindOf(attribute)}`)
  if (attribute.length > 1000) throw failure('an attribute path of more than 1000 characters; use a shorter one')
  const keys = attribute.split('.').map(key => ({ key, index: /^\d+$/.test(key) ? Number(key) : undefined }))
  return (run, item) => {
    run.spend(keys.length)
    let value = item
    for (const { key, index } of keys) value = lookup(value, Array.isArray(value) ? (index ?? key) : key)
    return value
  }
}
