/** Whatever a template says or holds, compiling and rendering end: at a count, at the same place every time. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EngineError } from '../../../engine/errors.ts'
import type { Json } from '../../../engine/json.ts'
import { limits } from '../../../engine/limits.ts'
import { compileExpression, compileTemplate } from '../../../engine/node/template.ts'
import { deepFreeze, scopeOf } from '../../support/template-scope.ts'

const data = deepFreeze({ text: 'x'.repeat(100_000), list: Array.from({ length: 5_000 }, (_, i) => i) })
const big = deepFreeze({
  emoji: '🎉'.repeat(100_000),
  same: `${'🎉'.repeat(99_999)}☕☕`,
  object: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, i])),
  repetitive: 'a'.repeat(200_000),
  needle: `${'a'.repeat(50_000)}b${'a'.repeat(50_000)}`,
})
const many = (text: string, times: number) => text.repeat(times)

function codeOf(body: () => unknown): string {
  try {
    body()
    return 'ok'
  } catch (error) {
    if (error instanceof EngineError) return error.code
    throw error
  }
}

describe('TEMPLATE_BUDGET while compiling', () => {
  const sources: [name: string, source: string][] = [
    ['parentheses', `{{ ${many('(', 10_000)}1${many(')', 10_000)} }}`],
    ['open parentheses', `{{ ${many('(', 10_000)}`],
    ['lists', `{{ ${many('[', 10_000)}${many(']', 10_000)} }}`],
    ['objects', `{{ ${many('{"a":', 10_000)}1${many('}', 10_000)} }}`],
    ['not', `{{ ${many('not ', 10_000)}1 }}`],
    ['signs', `{{ ${many('-', 10_000)}1 }}`],
    ['choices', `{{ ${many('1 if 0 else ', 10_000)}1 }}`],
    ['fields', `{{ data${many('.a', 10_000)} }}`],
    ['subscripts', `{{ data${many('[0]', 10_000)} }}`],
    ['filters', `{{ 1${many('|abs', 10_000)} }}`],
    ['tests', `{{ 1${many(' is odd', 10_000)} }}`],
    ['methods', `{{ data.text${many('.lower()', 10_000)} }}`],
    ['calls', `{{ ${many('len(', 10_000)}1${many(')', 10_000)} }}`],
    ['blocks', `${many('{% if 1 %}', 10_000)}${many('{% endif %}', 10_000)}`],
    ['open blocks', many('{% for x in y %}', 10_000)],
    ['chains within parentheses', `{{ ${many('(', 90)}1${many('|abs|abs|abs)', 90)} }}`],
    ['bytes', `{{ 1 }}${many('é', limits.templateBytesMax / 2)}`],
  ]
  test.each(sources)('%s', (_name, source) => expect(codeOf(() => compileTemplate(source))).toBe('TEMPLATE_BUDGET'))
})

describe('long but flat sources are fine', () => {
  const sources: [name: string, source: string, result: Json][] = [
    ['sums', `{{ 0${many(' + 1', 5_000)} }}`, 5_000],
    ['comparisons', `{{ 1${many(' == 1', 5_000)} }}`, true],
    ['or', `{{ 0${many(' or 0', 5_000)} }}`, 0],
    ['joined text', `{{ ""${many(' ~ "a"', 5_000)} }}`, many('a', 5_000)],
    ['outputs', many('{{ 1 }}', 5_000), many('1', 5_000)],
    ['white space', `{{ 1 }}${many(' ', 200_000)}|`, `1${many(' ', 200_000)}|`],
    ['white space in a tag', `{{${many(' ', 200_000)}1 }}`, 1],
    ['elif', `{% if 0 %}${many('{% elif 0 %}', 5_000)}{% else %}e{% endif %}`, 'e'],
    ['deep enough', `{{ ${many('(', 50)}1${many(')', 50)} }}`, 1],
  ]
  test.each(sources)('%s', (_name, source, result) => {
    expect(compileTemplate(source).render(scopeOf(data))).toEqual(result)
  })
})

describe('TEMPLATE_BUDGET while rendering', () => {
  const doubling =
    '{% set n = namespace(s="xxxxxxxxxx") %}{% for i in range(40) %}{% set n.s = n.s ~ n.s %}{% endfor %}'
  const sources: [name: string, source: string][] = [
    ['range', '{{ range(1000000000) }}'],
    ['range in a loop', '{% for i in range(1e9) %}{% endfor %}'],
    ['nested loops', many('{% for i in range(1000) %}', 5) + many('{% endfor %}', 5)],
    ['empty loops over data', '{% for i in data.list %}{% for j in data.list %}{% endfor %}{% endfor %}'],
    ['repeated text', '{{ "x" * 1000000000 }}'],
    ['repeated list', '{{ [1] * 1000000000 }}'],
    ['doubling', doubling],
    ['doubling with +', doubling.replace('~', '+')],
    ['doubling lists', doubling.replace('"xxxxxxxxxx"', '[1]').replace('~', '+')],
    [
      'nesting lists',
      '{% set n = namespace(s=[]) %}{% for i in range(200) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s }}',
    ],
    [
      'comparing nested lists',
      '{% set n = namespace(s=[], t=[]) %}{% for i in range(200) %}{% set n.s = [n.s] %}{% set n.t = [n.t] %}{% endfor %}{{ n.s == n.t }}',
    ],
    ['replace', '{{ data.text | replace("x", data.text) }}'],
    ['replace method', '{{ data.text.replace("", data.text) }}'],
    ['join', '{{ range(50000) | join(data.text) }}'],
    ['join method', '{{ data.text.join(range(50000)) }}'],
    ['concat', `{{ data.text${many(' ~ data.text', 60)} }}`],
    ['center', '{{ "x" | center(1000000000) }}'],
    ['ljust', '{{ "x".ljust(1000000000) }}'],
    ['zfill', '{{ "x".zfill(1000000000) }}'],
    ['percent width', '{{ "%1000000000d" % 1 }}'],
    ['format width', '{{ "{:>1000000000}".format(1) }}'],
    ['indent', '{{ ("\\n" * 100000) | indent(1000) }}'],
    ['wordwrap', '{{ data.text | wordwrap(1, true, data.text) }}'],
    ['indent width', '{{ "x" | indent(1000000000) }}'],
    ['batch fill', '{{ [1] | batch(1000000000, 0) }}'],
    ['slice count', '{{ [1] | slice(1000000000) }}'],
    ['output', '{% for i in range(100) %}{{ data.text }}{% endfor %}'],
    ['captured output', '{% set a %}{% for i in range(100) %}{{ data.text }}{% endfor %}{% endset %}'],
    ['printed data', '{% set a = [data.list, data.list] * 50000 %}{{ a }}'],
    ['sort in a loop', '{% for i in data.list %}{% set a = data.list | sort(reverse=true) %}{% endfor %}'],
    ['membership in a loop', '{% for i in data.list %}{{ "" if -1 in data.list }}{% endfor %}'],
    ['unique of lists', '{{ data.list | batch(1) | unique | list | length }}'],
  ]
  test.each(sources)('%s', (_name, source) => {
    const template = compileTemplate(source)
    expect(codeOf(() => template.render(scopeOf(data)))).toBe('TEMPLATE_BUDGET')
    // Nothing is left over in the template: it stops again, and at the same place.
    expect(codeOf(() => template.render(scopeOf(data)))).toBe('TEMPLATE_BUDGET')
  })

  // One step that costs the host milliseconds is not one step.
  const costly = [
    'data.emoji[5]',
    'data.emoji | length',
    'data.emoji[1:2]',
    'data.emoji == data.same',
    'data.emoji < data.same',
    '1 if data.object',
    'data.object | length',
    'data.object.keys()',
    'data.needle in data.repetitive',
    'data.repetitive.rfind(data.needle)',
    'data.repetitive.find(data.needle)',
    'data.repetitive | replace(data.needle, "")',
    'data.repetitive.split(data.needle)',
    '"a".strip(data.repetitive)',
    '"a" | truncate(1, end=data.repetitive)',
    '[data.emoji] | map(attribute=0)',
    '[data.emoji] | map("length")',
    'data.emoji.startswith("x")',
  ]
  test.each(costly)('%s is counted by the size of its data', expression => {
    const loop = '{% for i in range(100000) %}'
    const source = `${loop}{% set x = ${expression} %}{% endfor %}`
    expect(codeOf(() => compileTemplate(source).render(scopeOf(big)))).toMatch(/^TEMPLATE_(BUDGET|FAILED)$/)
  })

  test('what takes no time costs little: looking at a long list in a loop over it', () => {
    const source =
      '{% for x in data.list %}{{ data.list | length }}{{ data.list | last }}{{ data.list[-1] }}{% endfor %}'
    expect(codeOf(() => compileTemplate(source).render(scopeOf(data)))).toBe('ok')
  })

  test('deeply nested data neither overflows the stack nor prints', () => {
    let deep: Json = []
    for (let i = 0; i < 100_000; i++) deep = [deep]
    const scope = scopeOf({ deep, same: [deep] })
    for (const source of [
      '{{ data.deep }} ',
      '{{ data.deep | tojson }}',
      '{{ data.deep == data.same }}',
      '{{ [data.deep, data.same] | sort }}',
    ]) {
      expect(codeOf(() => compileTemplate(source).render(scope))).toBe('TEMPLATE_BUDGET')
    }
    expect(compileTemplate('{{ data.deep[0] }}').render(scope)).toBe((deep as Json[])[0])
  })
})

const fragments = [
  '{{',
  '}}',
  '{%',
  '%}',
  '{#',
  '#}',
  '-',
  '{%-',
  '-%}',
  ' ',
  '\n',
  'data',
  '.',
  'a',
  'items',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '"s"',
  "'",
  '1',
  '2.5',
  '1e3',
  '+',
  '*',
  '**',
  '//',
  '%',
  '~',
  '|',
  'map',
  'join',
  'sort',
  'default',
  'length',
  ',',
  ':',
  '=',
  '==',
  '<',
  'in',
  'not',
  'is',
  'defined',
  'if',
  'else',
  'elif',
  'endif',
  'for',
  'x',
  'endfor',
  'set',
  'endset',
  'and',
  'or',
  'None',
  'range',
  'loop',
  'raw',
  'endraw',
  'filter',
  'endfilter',
  'with',
  'endwith',
  'namespace',
  'runtime',
  'set_runtime',
  '\\',
  '🎉',
]
const source = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom(...fragments), { maxLength: 40 }).map(parts => parts.join(' ')),
  fc.array(fc.constantFrom(...fragments), { maxLength: 25 }).map(parts => `{{ ${parts.join(' ')} }}`),
  fc
    .array(fc.constantFrom(...fragments), { maxLength: 25 })
    .map(parts => `{% for x in data.items %}${parts.join(' ')}{% endfor %}`),
)
const operand = fc.constantFrom(
  'data.n',
  'data.list',
  'data.text',
  'data.o',
  'data.zz',
  'none',
  'true',
  '2',
  '-3',
  '0.5',
  '"ab"',
  '[1, "b"]',
  '{"k": 1}',
)
const piece = fc.letrec<{ expr: string }>(tie => ({
  expr: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    operand,
    fc
      .tuple(
        tie('expr'),
        fc.constantFrom('+', '-', '*', '/', '//', '%', '**', '~', '==', '<', '>=', 'in', 'not in', 'and', 'or'),
        tie('expr'),
      )
      .map(p => `(${p.join(' ')})`),
    fc
      .tuple(
        tie('expr'),
        fc.constantFrom(
          'length',
          'sort',
          'list',
          'upper',
          'sum',
          'unique',
          'reverse',
          'tojson',
          'int',
          'join(",")',
          'batch(2)',
          'first',
          'title',
          'dictsort',
          'map("string")',
          'set_runtime("k", 1)',
          'default(1)',
          'replace("a", "bb")',
          'round(1)',
          'urlencode',
          'truncate(4)',
          'wordwrap(2)',
        ),
      )
      .map(p => p.join(' | ')),
    fc
      .tuple(
        tie('expr'),
        fc.constantFrom('a', 'k', 'items()', 'get("a")', 'split()', 'upper()', 'keys()', 'strip("a")'),
      )
      .map(([e, f]) => `(${e}).${f}`),
    fc.tuple(tie('expr'), tie('expr')).map(([a, b]) => `(${a})[${b}]`),
  ),
})).expr
// as it comes out of a file or a queue: there is no -0 in JSON text
const json = fc.jsonValue({ maxDepth: 3 }).map(value => JSON.parse(JSON.stringify(value)) as Json)

const expected = ['ok', 'TEMPLATE_SYNTAX', 'TEMPLATE_FAILED', 'TEMPLATE_BUDGET']

describe('properties', () => {
  test('any source compiles or fails with a code, and so does rendering it', () => {
    fc.assert(
      fc.property(source, text => {
        expect(expected).toContain(codeOf(() => compileTemplate(text).render(scopeOf({ items: [1], a: { b: 'c' } }))))
        expect(expected).toContain(codeOf(() => compileExpression(text).evaluate(scopeOf({ items: [1] }))))
      }),
      { numRuns: 3_000 },
    )
  })

  test('rendering changes nothing in its scope, and gives the same again', () => {
    fc.assert(
      fc.property(piece, json, fc.double({ noNaN: true, noDefaultInfinity: true }), (expr, o, n) => {
        const scope = { list: [3, 'b', [1]], text: 'a b', o, n }
        const frozen = deepFreeze(structuredClone(scope))
        const template = compileTemplate(`{{ ${expr} }}`)
        const render = (): unknown => {
          let result: unknown
          const code = codeOf(() => {
            result = template.render(scopeOf(frozen))
          })
          expect(expected).toContain(code)
          return [code, result]
        }
        expect(render()).toEqual(render())
        expect(frozen).toEqual(scope)
      }),
      { numRuns: 2_000 },
    )
  })

  test('what a template gives is JSON', () => {
    fc.assert(
      fc.property(piece, json, (expr, o) => {
        let result: Json = null
        codeOf(() => {
          result = compileTemplate(`{{ ${expr} }}`).render(scopeOf({ list: [3, 'b'], text: 'a', o, n: 2 }))
        })
        expect(JSON.parse(JSON.stringify(result))).toEqual(result)
      }),
      { numRuns: 2_000 },
    )
  })
})
