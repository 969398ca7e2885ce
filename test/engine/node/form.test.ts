import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { EngineError } from '../../../engine/errors.ts'
import type { Json, JsonObject } from '../../../engine/json.ts'
import { compileForm, defineForm, describeForm, type Form } from '../../../engine/node/form.ts'
import {
  anyText,
  cases,
  choice,
  condition,
  field,
  json,
  number,
  text,
  toggle,
} from '../../../engine/node/form-fields.ts'
import type { TemplateScope } from '../../../engine/node/template.ts'

const lenient = { strict: false }

function scope(data: JsonObject = {}): TemplateScope {
  const runtime = { get: () => undefined, set: () => {}, delete: () => {} }
  return { data, workflowenv: { LIMIT: 5 }, runtime, iteration: {} }
}

function render(form: Form, values: JsonObject, data: JsonObject = {}, options = lenient): JsonObject {
  const compiled = compileForm(form, values, options)
  expect(compiled.problems).toEqual([])
  return compiled.form.render(scope(data), 'n1')
}

function failure(action: () => unknown): EngineError {
  try {
    action()
  } catch (error) {
    if (error instanceof EngineError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const one = (given: ReturnType<typeof field>) => defineForm({ f: given })

describe('compileForm at load', () => {
  const wrong: [string, ReturnType<typeof field>, Json | undefined, string, string][] = [
    ['required and missing', text({ label: 'F', required: true }), undefined, 'FORM_REQUIRED', 'is empty'],
    ['required and empty', text({ label: 'F', required: true }), '  ', 'FORM_REQUIRED', 'is empty'],
    ['no number', number({ label: 'F' }), 'abc', 'FORM_INVALID', 'is "abc"; must be a number'],
    ['infinite', number({ label: 'F' }), 'Infinity', 'FORM_INVALID', 'must be a number'],
    ['hexadecimal', number({ label: 'F' }), '0x10', 'FORM_INVALID', 'must be a number'],
    ['no whole number', number({ label: 'F', whole: true }), '1.5', 'FORM_INVALID', 'must be a whole number'],
    ['below the minimum', number({ label: 'F', min: 1 }), 0, 'FORM_INVALID', 'must be at least 1'],
    ['not above', number({ label: 'F', above: 0 }), '0', 'FORM_INVALID', 'must be above 0'],
    ['no switch', toggle({ label: 'F' }), 'maybe', 'FORM_INVALID', 'must be true or false'],
    ['unknown choice', choice({ label: 'F', labels: { a: 'A', b: 'B' } }), 'c', 'FORM_INVALID', 'one of a, b'],
    ['object as text', text({ label: 'F' }), { a: 1 }, 'FORM_INVALID', 'must be a text'],
    ['broken JSON', json({ label: 'F' }), '{"a": }', 'FORM_INVALID', 'line 1, column 7'],
    ['broken template', text({ label: 'F' }), 'a {{ data. }}', 'TEMPLATE_SYNTAX', 'line 1'],
    ['broken template deep inside', json({ label: 'F' }), { a: ['{{ x'] }, 'TEMPLATE_SYNTAX', 'at "a.0"'],
    ['broken condition', condition({ label: 'F' }), 'data.a >', 'TEMPLATE_SYNTAX', 'line 1'],
    ['condition of another type', condition({ label: 'F' }), ['a'], 'FORM_INVALID', 'must be a text'],
    ['cases that are no list', cases({ label: 'F' }), 'x', 'FORM_INVALID', 'must be a list of cases'],
    ['case without key', cases({ label: 'F' }), [{ condition: '1' }], 'FORM_INVALID', 'at "cases.0"'],
    ['case without condition', cases({ label: 'F' }), [{ key: 'a' }], 'FORM_REQUIRED', 'no condition'],
  ]
  it.each(wrong)('%s', (_name, given, value, ...[code, message]) => {
    const values = value === undefined ? {} : { f: value }
    const { problems } = compileForm(one(given), values, lenient)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ field: 'f', code })
    expect(problems[0]?.message).toContain(message)
  })

  it('names all problems at once, also several in one field', () => {
    const form = defineForm({
      a: number({ label: 'A' }),
      b: cases({ label: 'B' }),
      c: text({ label: 'C', required: true }),
    })
    const { problems } = compileForm(form, { a: 'x', b: [{ key: 'k', condition: '(' }, 7] }, lenient)
    expect(problems.map(problem => problem.field)).toEqual(['a', 'b', 'b', 'c'])
  })

  it('gives the rewrite of a Python-only condition as a hint', () => {
    const { problems } = compileForm(one(condition({ label: 'F' })), { f: 'data.a && data.b' }, lenient)
    expect(problems[0]?.code).toBe('TEMPLATE_SYNTAX')
    expect(`${problems[0]?.message} ${problems[0]?.hint}`).toMatch(/\band\b/)
  })

  it('lets a template pass that its field would not', () => {
    expect(compileForm(one(number({ label: 'F', min: 1 })), { f: '{{ data.n }}' }, lenient).problems).toEqual([])
  })

  it('keeps what was given, fills in defaults, ignores unknown keys', () => {
    const form = defineForm({ n: number({ label: 'N', default: 3 }), t: text({ label: 'T' }) })
    const { form: compiled, problems } = compileForm(form, { n: '', other: { x: 1 } }, lenient)
    expect(problems).toEqual([])
    expect(compiled.values).toEqual({ n: 3, other: { x: 1 } })
    expect(compiled.render(scope(), 'n1')).toEqual({ n: 3, other: { x: 1 } })
  })

  it('asks the check of the whole form only when all its fields are known and valid', () => {
    const fields = { a: number({ label: 'A' }), b: number({ label: 'B' }) }
    const form = defineForm(fields, ({ a, b }) =>
      (a as number) < (b as number) ? [] : [{ field: 'a', code: 'FORM_INVALID', message: 'must be below b' }],
    )
    const codes = (values: JsonObject) => compileForm(form, values, lenient).problems.map(problem => problem.message)
    expect(codes({ a: 1, b: 2 })).toEqual([])
    expect(codes({ a: 2, b: 1 })).toEqual(['must be below b'])
    expect(codes({ a: '{{ data.a }}', b: 1 })).toEqual([])
    const compiled = compileForm(form, { a: '{{ data.a }}', b: 1 }, lenient).form
    expect(failure(() => compiled.render(scope({ a: 4 }), 'n1')).message).toContain('field "a" must be below b')
  })
})

describe('what forms send', () => {
  const right: [string, ReturnType<typeof field>, Json, Json][] = [
    ['numeric text', number({ label: 'F' }), ' 12 ', 12],
    ['fraction', number({ label: 'F' }), '-.5', -0.5],
    ['exponent', number({ label: 'F', whole: true }), '1e3', 1000],
    ['whole as fraction', number({ label: 'F', whole: true }), '5.0', 5],
    ['on', toggle({ label: 'F' }), 'on', true],
    ['False', toggle({ label: 'F' }), 'False', false],
    ['0', toggle({ label: 'F' }), 0, false],
    ['choice of another case', choice({ label: 'F', labels: { GET: 'Get', POST: 'Post' } }), 'post', 'POST'],
    ['number as text', text({ label: 'F' }), 5, '5'],
    ['object as any text', anyText({ label: 'F' }), { a: 1 }, '{"a":1}'],
    ['JSON text', json({ label: 'F' }), '{"a": [1, null]}', { a: [1, null] }],
    ['JSON value', json({ label: 'F' }), { a: [1] }, { a: [1] }],
    ['text that is not JSON', json({ label: 'F', kind: 'json-or-text' }), 'a, b', 'a, b'],
    ['constant condition', condition({ label: 'F' }), true, { expression: 'true', result: true }],
  ]
  it.each(right)('%s', (_name, given, value, expected) => {
    expect(render(one(given), { f: value })).toEqual({ f: expected })
  })
})

describe('render', () => {
  it('gives the same frozen object each time when no field holds a template', () => {
    const form = defineForm({ a: json({ label: 'A' }), b: text({ label: 'B' }) })
    const compiled = compileForm(form, { a: '{"x": [1]}', b: 'y' }, lenient).form
    const first = compiled.render(scope({ n: 1 }), 'n1')
    expect(compiled.render(scope({ n: 2 }), 'n2')).toBe(first)
    expect(Object.isFrozen(first)).toBe(true)
    expect(Object.isFrozen((first.a as JsonObject).x)).toBe(true)
  })

  it('validates what templates give, native or text', () => {
    const form = one(number({ label: 'F', min: 1 }))
    expect(render(form, { f: '{{ data.n }}' }, { n: 5 })).toEqual({ f: 5 })
    expect(render(form, { f: '{{ data.n }}0' }, { n: 5 })).toEqual({ f: 50 })
  })

  it('fails naming node, field and value', () => {
    const compiled = compileForm(one(number({ label: 'F', min: 1 })), { f: '{{ data.n }}' }, lenient).form
    const error = failure(() => compiled.render(scope({ n: 'many' }), 'n7'))
    expect(error.code).toBe('FORM_INVALID')
    expect(error.message).toBe('Cannot run node "n7": field "f" is "many"; must be a number')
    expect(error.details).toEqual({ node: 'n7', field: 'f', value: '"many"' })
  })

  it('never quotes a secret', () => {
    const form = one(text({ label: 'F', secret: true, pattern: /^x/, expected: 'must begin with x' }))
    const compiled = compileForm(form, { f: '{{ data.key }}' }, lenient).form
    const error = failure(() => compiled.render(scope({ key: 'hunter2' }), 'n1'))
    expect(`${error.message} ${JSON.stringify(error.details)}`).not.toContain('hunter2')
    expect(error.message).toContain('must begin with x')
    expect(compileForm(form, { f: 'hunter2' }, lenient).problems[0]?.message).not.toContain('hunter2')
    expect(JSON.stringify(describeForm(form, { f: 'hunter2' }))).not.toContain('hunter2')
  })

  it('takes the default, or fails, where a template gives nothing', () => {
    expect(render(one(number({ label: 'F', default: 30 })), { f: '{{ data.none }}' })).toEqual({ f: 30 })
    expect(render(one(number({ label: 'F' })), { f: '{{ data.none }}' })).toEqual({})
    const required = compileForm(one(text({ label: 'F', required: true })), { f: '{{ data.none }}' }, lenient).form
    expect(failure(() => required.render(scope(), 'n1')).message).toContain('field "f" is empty')
  })

  it('names node and field when a template fails, with the code of the template', () => {
    const compiled = compileForm(one(text({ label: 'F' })), { f: '{{ data.none.x }}' }, { strict: true }).form
    const error = failure(() => compiled.render(scope(), 'n3'))
    expect(error.code).toBe('TEMPLATE_FAILED')
    expect(error.message).toContain('Cannot render field "f" of node "n3"')
    expect(error.details).toMatchObject({ node: 'n3', field: 'f' })
  })

  it('shortens long values in errors', () => {
    const compiled = compileForm(one(number({ label: 'F' })), { f: '{{ data.n }}' }, lenient).form
    expect(failure(() => compiled.render(scope({ n: 'x'.repeat(5_000) }), 'n1')).message.length).toBeLessThan(250)
  })

  it('renders own schemas of users', () => {
    const form = one(field({ label: 'F', schema: z.array(z.string()).max(2, 'must have at most 2 texts') }))
    expect(render(form, { f: ['{{ data.a }}', 'b'] }, { a: 'x' })).toEqual({ f: ['x', 'b'] })
    expect(compileForm(form, { f: ['a', 'b', 'c'] }, lenient).problems[0]?.message).toContain('at most 2 texts')
  })
})

describe('JSON templates', () => {
  const form = one(json({ label: 'F' }))
  const data = {
    name: 'Ann "the" {{ 1 }} \\ \n',
    n: 3,
    list: [1, 2],
    key: 'k',
    text: '{"x":1}',
    flag: true,
    none: null,
  }
  const table: [string, string, Json][] = [
    ['in a string', '{"a": "Hi {{ data.name }}!"}', { a: `Hi ${data.name}!` }],
    ['a lone one keeps its type', '{"a": "{{ data.list }}", "b": "{{ data.n }}"}', { a: [1, 2], b: 3 }],
    ['bare', '{"a": {{ data.n * 2 }}, "b": [{{ data.list }}, {{ data.flag }}]}', { a: 6, b: [[1, 2], true] }],
    [
      'null',
      '{"a": {{ data.none }}, "b": "{{ data.none }}", "c": {{ data.none | tojson }}}',
      { a: null, b: null, c: null },
    ],
    ['bare text is JSON', '{"a": {{ data.name | tojson }}}', { a: data.name }],
    ['double quotes inside', '{"a": "{{ data["name"] }}"}', { a: data.name }],
    ['escaped quotes inside', '{"a": "{{ data[\\"name\\"] }}"}', { a: data.name }],
    ['escaped quotes beside a bare one', '{"a": "{{ data[\\"n\\"] }}", "b": {{ data.n }}}', { a: 3, b: 3 }],
    ['braces in a quoted text', `{"a": {{ "}}" | tojson }}}`, { a: '}}' }],
    ['keys', '{"{{ data.key }}{{ data.n }}": 1}', { k3: 1 }],
    ['blocks, as text', '[{% for i in data.list %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}]', [1, 2]],
    ['the whole', '{{ data.list }}', [1, 2]],
    ['the whole, as text', '{{ data.text }}', { x: 1 }],
    ['own keys only', '{"__proto__": "{{ data.n }}"}', JSON.parse('{"__proto__": 3}') as Json],
  ]
  it.each(table)('%s', (_name, template, expected) => {
    expect(render(form, { f: template }, data).f).toStrictEqual(expected)
  })

  it('says where rendered text is not JSON', () => {
    const compiled = compileForm(form, { f: '[{% if true %}{{ data.name }}{% endif %}]' }, lenient).form
    const error = failure(() => compiled.render(scope({ name: 'bob' }), 'n1'))
    expect(error.code).toBe('FORM_INVALID')
    expect(error.message).toContain('line 1, column 2')
    expect(error.message).toContain('tojson')
  })

  it('keeps its structure whatever text stands in a string', () => {
    const templates = ['{"a": "{{ data.t }}"}', '{"a": "{{ data.t }}", "b": {{ 1 }}}', '{"a": {{ data.t | tojson }}}']
    fc.assert(
      fc.property(fc.constantFrom(...templates), fc.string({ unit: 'grapheme' }), (template, given) => {
        expect((render(form, { f: template }, { t: given }).f as JsonObject).a).toBe(given)
      }),
    )
  })
})

describe('conditions', () => {
  const table: [string, string, JsonObject, boolean, string?][] = [
    ['an expression', 'data.n > 5', { n: 6 }, true],
    ['a default', "data.get('n', 0) > 5", {}, false],
    ['text with templates', '{{ data.n }} > {{ workflowenv.LIMIT }}', { n: 6 }, true, '6 > 5'],
    ['one template that decides', '{{ data.n > 5 }}', { n: 6 }, true, '{{ data.n > 5 }}'],
    ['one template that gives an expression', '{{ data.rule }}', { rule: '2 > 3' }, false, '2 > 3'],
    ['Python words in text', '{{ data.flag }}', { flag: 'True' }, true, 'True'],
    ['one template that gives nothing', '{{ data.none }}', {}, false, ''],
    ['an empty list', '{{ data.list }}', { list: [] }, false, '{{ data.list }}'],
  ]
  it.each(table)('%s', (_name, source, data, ...expected) => {
    const [result, expression = source] = expected
    expect(render(one(condition({ label: 'F' })), { f: source }, data).f).toEqual({ expression, result })
  })

  it('does not take an unknown word for false', () => {
    const compiled = compileForm(one(condition({ label: 'F' })), { f: '{{ data.flag }}' }, lenient).form
    expect(failure(() => compiled.render(scope({ flag: 'yes' }), 'n1')).code).toBe('TEMPLATE_FAILED')
  })

  it('gives the code of the syntax when rendered text is no expression', () => {
    const compiled = compileForm(one(condition({ label: 'F' })), { f: '{{ data.n }} > (' }, lenient).form
    const error = failure(() => compiled.render(scope({ n: 1 }), 'n1'))
    expect(error.code).toBe('TEMPLATE_SYNTAX')
    expect(error.message).toContain('field "f" of node "n1"')
  })

  it('stays right with more expressions than its cache holds', () => {
    const compiled = compileForm(one(condition({ label: 'F' })), { f: '{{ data.n }} % 2 == 1' }, lenient).form
    for (let n = 0; n < 1_000; n++) {
      const rendered = compiled.render(scope({ n: n % 600 }), 'n1').f as JsonObject
      expect(rendered.result).toBe((n % 600) % 2 === 1)
    }
  })

  it('tries cases in order and stops at the first that holds', () => {
    const given = [
      { key: 'Big', condition: 'data.n > 9' },
      { key: 'mid', condition: '{{ data.n }} > 4' },
      { key: 'bad', condition: '1 // 0 > 1' },
    ]
    for (const value of [given, JSON.stringify(given)]) {
      expect(render(one(cases({ label: 'F' })), { f: value }, { n: 6 }).f).toEqual([
        { key: 'big', expression: 'data.n > 9', result: false },
        { key: 'mid', expression: '6 > 4', result: true },
      ])
    }
  })
})

describe('describeForm', () => {
  const form = defineForm({
    unit: choice({ label: 'Unit', default: 's', labels: { s: 'Seconds' }, depends_on: ['time'] }),
    time: number({ label: 'Time', help: 'How long', required: true }),
    token: text({ label: 'Token', secret: true }),
  })

  it('lists fields as an editor draws them', () => {
    expect(describeForm(form)).toEqual([
      {
        ...{ tag: 'select', name: 'unit', label: 'Unit', type: null, options: [{ value: 's', label: 'Seconds' }] },
        ...{ value: 's', errors: [], required: false, help: '', depends_on: ['time'] },
      },
      {
        ...{ tag: 'input', name: 'time', label: 'Time', type: 'number', options: [], value: null, errors: [] },
        ...{ required: true, help: 'How long', depends_on: [] },
      },
      {
        ...{ tag: 'input', name: 'token', label: 'Token', type: 'password', options: [], value: null, errors: [] },
        ...{ required: false, help: '', depends_on: [] },
      },
    ])
  })

  it('adds values and their errors', () => {
    const [unit, time] = describeForm(form, { unit: 'x', time: 'y' })
    expect(unit).toMatchObject({ value: 'x', errors: ['is "x"; must be one of s'] })
    expect(time).toMatchObject({ value: 'y', errors: ['is "y"; must be a number'] })
  })
})

describe('any value', () => {
  const kinds = {
    t: text({ label: 'T' }),
    n: number({ label: 'N' }),
    b: toggle({ label: 'B' }),
    j: json({ label: 'J' }),
  }
  const form = defineForm({ ...kinds, c: condition({ label: 'C' }), s: cases({ label: 'S' }) })

  it('never makes compileForm throw, and what it accepts renders or fails with a code', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.string(),
      fc.constantFrom('{{', '{{ data.a }}', '{% if %}', '{"a": {{ x }}'),
    )
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('t', 'n', 'b', 'j', 'c', 's', 'z'), value), values => {
        const { form: compiled, problems } = compileForm(form, values as JsonObject, lenient)
        if (problems.length > 0) return
        try {
          compiled.render(scope({ a: 1 }), 'n1')
        } catch (error) {
          expect(error).toBeInstanceOf(EngineError)
        }
      }),
    )
  })
})
