import { describe, expect, it } from 'vitest'
import type { Json } from '../../../engine/json.ts'
import { compileForm, defineForm, type Field } from '../../../engine/node/form.ts'
import {
  code,
  computedChoice,
  dateTime,
  email,
  filePath,
  multipleChoice,
  number,
  password,
  url,
} from '../../../engine/node/form-fields.ts'

const label = 'F'
const colours = { red: 'Red', blue: 'Blue' }
const noScope = { data: {}, workflowenv: {}, runtime: { get: () => undefined, set() {}, delete() {} }, iteration: {} }

function read(field: Field, value: Json) {
  const { form, problems } = compileForm(defineForm({ f: field }), { f: value }, { strict: false })
  return problems.length > 0 ? problems[0]?.message : form.render(noScope, 'n').f
}

describe('fields give a node', () => {
  const table: [string, Field, Json, Json][] = [
    ['a list of choices', multipleChoice({ label, labels: colours }), ['red', 'blue', 'red'], ['red', 'blue']],
    ['choices from JSON text', multipleChoice({ label, labels: colours }), '["blue"]', ['blue']],
    ['choices from a text with commas', multipleChoice({ label, labels: colours }), 'red, blue', ['red', 'blue']],
    ['a choice that is a number', computedChoice({ label, choicesFor: () => [] }), 7, '7'],
    ['an address', email({ label }), ' ann@example.org ', 'ann@example.org'],
    ['a URL', url({ label }), 'https://example.org/a?b=c', 'https://example.org/a?b=c'],
    ['source text', code({ label }), 'x = {\n}', 'x = {\n}'],
    ['a moment in UTC', dateTime({ label }), '2026-11-26T08:30:00+01:00', '2026-11-26T07:30:00.000Z'],
    ['a moment without an offset', dateTime({ label }), '2026-11-26 08:30', '2026-11-26T08:30:00.000Z'],
    ['a day', dateTime({ label }), '2026-11-26', '2026-11-26T00:00:00.000Z'],
    ['a path', filePath({ label }), 'a/b..c/d.txt', 'a/b..c/d.txt'],
    ['a whole number', number({ label, whole: true }), '12', 12],
    ['a password', password({ label }), 'x', 'x'],
  ]
  it.each(table)('%s', (_name, field, value, expected) => {
    expect(read(field, value)).toEqual(expected)
  })
})

describe('fields refuse', () => {
  const table: [string, Field, Json, RegExp][] = [
    ['one unknown of several', multipleChoice({ label, labels: colours }), ['red', 'green'], /list of red, blue/],
    ['an address without @', email({ label }), 'ann', /e-mail/],
    ['a URL that runs code', url({ label }), 'javascript:alert(1)', /http/],
    ['a file as URL', url({ label }), 'file:///etc/passwd', /http/],
    ['a day that is not', dateTime({ label }), '2026-13-01', /date and time/],
    ['a 31st of February', dateTime({ label }), '2026-02-31', /date and time/],
    ['words as a moment', dateTime({ label }), 'tomorrow', /date and time/],
    ['an absolute path', filePath({ label }), '/etc/passwd', /relative/],
    ['a drive', filePath({ label }), 'c:x', /relative/],
    ['a way out', filePath({ label }), 'a/../../b', /relative/],
    ['a way out with backslashes', filePath({ label }), 'a\\..\\b', /relative/],
  ]
  it.each(table)('%s', (_name, field, value, says) => {
    expect(read(field, value)).toMatch(says)
  })

  it('a password without quoting it', () => {
    expect(read(password({ label, charsMax: 3 } as never), 'hunter2')).not.toContain('hunter2')
  })
})
