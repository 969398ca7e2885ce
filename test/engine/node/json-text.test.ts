import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJsonText } from '../../../engine/node/json-text.ts'

describe('parseJsonText', () => {
  const broken: [string, number, number, string][] = [
    ['', 1, 1, 'the text ends'],
    ['{', 1, 2, 'the text ends'],
    ['{"a" 1}', 1, 6, '"1" is not expected'],
    ['{"a": 1,}', 1, 9, '"}" is not expected'],
    ['[1,\n 2,\n x]', 3, 2, '"x" is not expected'],
    ['[1] 2', 1, 5, '"2" is not expected'],
    ['{a: 1}', 1, 2, '"a" is not expected'],
    ['"a\nb"', 1, 3, '"\\n" is not expected'],
    ['"a\\x"', 1, 3, '"\\\\" is not expected'],
    ['01', 1, 1, '"0" is not expected'],
    ["['a']", 1, 2, '"\'" is not expected'],
    ['[}', 1, 2, '"}" is not expected'],
    ['tru', 1, 1, '"t" is not expected'],
  ]
  it.each(broken)('%j', (text, line, column, message) => {
    const { fault } = parseJsonText(text)
    expect(fault).toMatchObject({ line, column })
    expect(fault?.message).toContain(message)
  })

  it('gives the value of any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        expect(parseJsonText(JSON.stringify(value, null, 1)).value).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('places a fault inside the text, or at its end, for any text that is not JSON', () => {
    const cut = fc.tuple(fc.jsonValue(), fc.nat()).map(([value, at]) => {
      const text = JSON.stringify(value)
      return text.slice(0, at % (text.length + 1))
    })
    fc.assert(
      fc.property(fc.oneof(fc.string(), cut), text => {
        const { fault } = parseJsonText(text)
        if (fault === undefined) return
        expect(text.split('\n')[fault.line - 1]).toBeDefined()
        expect(fault.column).toBeLessThanOrEqual((text.split('\n')[fault.line - 1] as string).length + 1)
      }),
    )
  })

  it('survives deep nesting', () => {
    expect(parseJsonText('['.repeat(200_000)).fault?.message).toContain('the text ends')
  })
})
