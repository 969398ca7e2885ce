import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Book } from '../../../sim/invariants/book.ts'

it('goes back to copies, later ones first', () => {
  const change = fc.record({
    op: fc.constantFrom('set', 'delete', 'clear', 'save'),
    key: fc.nat({ max: 5 }),
    value: fc.nat(),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), changes => {
      const book = new Book<number, number>()
      const kept: { restore: () => void; entries: [number, number][] }[] = []
      const entries = () => [...book].sort(([a], [b]) => a - b)
      for (const { op, key, value } of changes) {
        if (op === 'save') kept.push({ restore: book.save(), entries: entries() })
        else if (op === 'set') book.set(key, value)
        else if (op === 'delete') book.delete(key)
        else book.clear()
      }
      for (const { restore, entries: before } of kept.reverse()) {
        restore()
        expect(entries()).toEqual(before)
        book.set(9, 9)
        restore()
        expect(entries()).toEqual(before)
      }
    }),
  )
})
