import { describe, expect, test } from 'vitest'
import { EngineError } from '../../../engine/errors.ts'
import type { Json } from '../../../engine/json.ts'
import { compileExpression, compileTemplate, hasTemplate, isTruthy } from '../../../engine/node/template.ts'
import { deepFreeze, readGoldens, scopeOf } from '../../support/template-scope.ts'

const goldens = readGoldens('jinja-goldens.json')
const data = deepFreeze({
  ...goldens.context.data,
  items: [1, 2],
  nothing: null,
  yes: true,
  no: false,
  deep: { items: 'field' },
})

const render = (source: string, strict = false) => compileTemplate(source, { strict }).render(scopeOf(data))
const evaluate = (source: string, strict = false) => compileExpression(source, { strict }).evaluate(scopeOf(data))

function faultOf(body: () => unknown): EngineError {
  try {
    body()
  } catch (error) {
    if (error instanceof EngineError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('goldens: mixed text prints what Jinja2 printed', () => {
  for (const file of ['jinja-goldens.json', 'jinja-more.json']) {
    const { cases } = readGoldens(file)
    test.each(cases)(`${file} $template`, ({ template, expected }) => {
      // A mark in front makes the source mixed text, so that single expressions are printed too.
      expect(compileTemplate(`\u200b${template}`).render(scopeOf(goldens.context.data))).toBe(`\u200b${expected}`)
    })
  }
})

describe('a source of one expression gives its native value', () => {
  const cases: [string, Json][] = [
    ['{{ data.items }}', [1, 2]],
    ['{{ data.n }}', 7],
    ['{{- data.n -}}', 7],
    ['{{ data.n > 5 }}', true],
    ['{{ data.user.address }}', { city: 'London', zip: 'N1' }],
    ['{{ data.nothing }}', null],
    ['{{ data.deep.items }}', 'field'],
    ['{{ {"a": [1, none], "b": data.zz} }}', { a: [1, null], b: null }],
    ['{{ 1, 2 }}', [1, 2]],
    [
      '{{ data.user.items() }}',
      [
        ['id', 'u-1'],
        ['email', 'ada@example.test'],
        ['address', { city: 'London', zip: 'N1' }],
      ],
    ],
    ['{{ "5" }}', '5'],
    ['{{ 6 / 2 }}', 3],
    ['{{ -data.zero }}', 0],
    ['{{ data.missing }}', ''],
    ['{{ data.a.b.c.d }}', ''],
    ['{{ data.a.lower().x[3] }}', ''],
    ['{{ workflowenv.API }}', 'https://example.test'],
    ['{{ iteration.iteration }}', 3],
    ['{{ unknown }}', ''],
    ['{{ data.user["zz"] }}', ''],
  ]
  test.each(cases)('%s', (source, expected) => expect(render(source)).toStrictEqual(expected))
})

describe('mixed text', () => {
  const cases: [string, string][] = [
    ['{{ data.yes }}, {{ data.no }}', 'true, false'],
    [
      '{{ data.tags }} and {{ data.rows[0] }}',
      '["b", "a", "c", "a"] and {"id": 1, "name": "x", "price": 10, "ok": true, "kind": "a"}',
    ],
    ['[{{ data.nothing }}] [{{ data.missing.a.b }}]', '[null] []'],
    ['{"n": {{ data.nothing }}, "m": {{ data.missing | tojson }}}', '{"n": null, "m": null}'],
    [' {{ data.n }} ', ' 7 '],
    ['{{ data.n }}{{ data.n }}', '77'],
    ['{{ 0.1 + 0.2 }} {{ 1e21 }} {{ 10 / 4 }}', '0.30000000000000004 1e+21 2.5'],
    [
      '{% for i in [1, 2, 3, 4] %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}',
      '13',
    ],
    ['{% for data in [1, 2] %}{{ data }}{% endfor %}{{ data.n }}', '127'],
    ['{% set data = 5 %}{{ data }}', '5'],
    ['a\n{{ 1 }}\n', 'a\n1'],
    ['{{ "☕🎉é" | length }}{{ "☕🎉é"[1] }}{{ "a🎉" | reverse }}', '3🎉🎉a'],
    ['{% raw %}{{ a }}{% if %}{# #}{% endraw %}!', '{{ a }}{% if %}{# #}!'],
    ['{{ "}}" }}{{ "%}" }}{% if "%}" %}x{% endif %}', '}}%}x'],
    ['{# {{ broken #}ok{{ "" }}', 'ok'],
    ['{% if data.user.get("id") is not none and "id" in data.user %}y{% endif %}', 'y'],
    ['{{ "a" if data.nope }}|', '|'],
    ['{{ data.rows | map(attribute="price") | list }} {{ data.rows | sum(attribute="price") }}', '[10, 5, 20] 35'],
  ]
  test.each(cases)('%s', (source, expected) => expect(render(source)).toBe(expected))
})

describe('conditions', () => {
  const cases: [string, Json][] = [
    ["data.get('followers', 0) > 500", true],
    ["data.get('nope', 0) > 500", false],
    ["data.get('nope') is None", true],
    ['data.nothing is None', true],
    ['data.n is not None', true],
    ['None == data.nothing', true],
    ['True and not False', true],
    ['len(data.tags) == 4 and len("abc") == 3', true],
    ["'a' in data.tags and 'z' not in data.tags", true],
    ["'email' in data.user", true],
    ['1 < data.n < 10', true],
    ['1 < data.n < 5', false],
    ['(1 < 2) == True', true],
    ["1 == '1'", false],
    ["data['name'].strip().lower().startswith('ada')", true],
    ["int(data.num_s) + 1 == 43 and str(7) == '7' and float('3.75') > 3", true],
    ['bool(data.tags) and not bool([])', true],
    ['abs(-3) + min(3, 1, 2) + max([4, 5]) + sum([1, 2]) + round(2.567, 2)', 3 + 1 + 5 + 3 + 2.57],
    ['any([0, 1]) and not all([0, 1])', true],
    ['sorted([3, 1, 2], reverse=true)', [3, 2, 1]],
    ['-7 % 3', 2],
    ['-7 // 2', -4],
    ['7 % -3', -2],
    ['data.missing > 5', false],
    ['data.missing < 5', false],
    ['data.missing == 5', false],
    ['data.a.b.c', null],
    ["data.name == 'Ada Lovelace' and data.f != 2", true],
    ["'big' if data.n > 5 else 'small'", 'big'],
    ['not data.empty or data.nope', true],
    ['9 is divisibleby 3 and 9 is not divisibleby(2)', true],
    ['data.tags is sequence and data.user is mapping and data.n is integer', true],
    ['data.n\n  > 5\n', true],
    ['data.yes == 1 and 1 in [True]', true],
    ['[1, [2]] == [1, [2.0]]', true],
    ['data.items | length > 1', true],
  ]
  test.each(cases)('%s', (source, expected) => expect(evaluate(source)).toStrictEqual(expected))
})

describe('syntax faults say line, column and what to write', () => {
  const cases: [source: string, line: number, column: number, hint: RegExp | undefined][] = [
    ['a\n {{ 1 + }}', 2, 9, /a value is expected/],
    ['{{ data.x', 1, 1, /close it with "}}"/],
    ['{% if a %}x', 1, 1, /endif/],
    ['x{% endif %}', 1, 2, undefined],
    ['{{ (1 }}', 1, 7, /close "\(" with "\)"/],
    ['{{ "abc }}', 1, 4, /close it with "/],
    ['{{ [1 2] }}', 1, 7, /"," is expected/],
    ['{{ and }}', 1, 4, /a value is expected/],
    ['{{ data.x | defualt("") }}', 1, 13, /did you mean "default"/],
    ['{{ data.x | random }}', 1, 13, /at random/],
    ['{{ data.x | attr("y") }}', 1, 13, /x\["name"\]/],
    ['{{ data.x is nunber }}', 1, 14, /did you mean "number"/],
    ['{{ data.x is data.y }}', 1, 14, /write "== data"/],
    ['{{ data.list.append(1) }}', 1, 14, /list \+ \[item\]/],
    ['{{ data.run() }}', 1, 9, /nothing in data can be called/],
    ['{{ foo(1) }}', 1, 4, undefined],
    ['{{ data.x | join(1, 2, 3) }}', 1, 4, /d, attribute/],
    ['{{ data.x | join(glue=",") }}', 1, 4, /d, attribute/],
    ['{{ data.x | replace("a") }}', 1, 4, /old, new, count/],
    ['{% macro m() %}{% endmacro %}', 1, 1, /repeat the text/],
    ['\n\n{% include "x" %}', 3, 1, /one source/],
    ['{% extends "x" %}', 1, 1, /one source/],
    ['{% import "x" as y %}', 1, 1, /one source/],
    ['{% block x %}{% endblock %}', 1, 1, /inheritance/],
    ['{% do x %}', 1, 1, /set/],
    ['{% nope %}', 1, 1, undefined],
    ['{% break %}', 1, 1, undefined],
    ['{# open', 1, 1, /#}/],
    ['{% raw %} x', 1, 1, /endraw/],
    ['{{ runtime }}', 1, 4, /runtime\.total/],
    ['{% set runtime = 1 %}', 1, 8, /set_runtime/],
    ['{% set ns = namespace() %}{{ ns }}', 1, 30, /ns\.total/],
    ['{% set x.y = 1 %}', 1, 8, /namespace/],
    ['{{ 1abc }}', 1, 4, undefined],
    ['{{ 1e999 }}', 1, 4, undefined],
    ['{{ a b }}', 1, 6, /operator/],
  ]
  test.each(cases)('%s', (source, line, column, hint) => {
    const fault = faultOf(() => compileTemplate(source))
    const details = fault.details as { line: number; column: number; hint?: string }
    expect([fault.code, details.line, details.column]).toEqual(['TEMPLATE_SYNTAX', line, column])
    expect(fault.message).toMatch(/^Cannot parse template: .* at line \d+, column \d+/)
    if (hint === undefined) expect(details.hint ?? '').not.toMatch(/undefined/)
    else expect(details.hint).toMatch(hint)
  })
})

describe('Python and JavaScript habits get their rewrite', () => {
  const cases: [string, RegExp][] = [
    ['f"{data.x}" == "a"', /~/],
    ['r"a" == data.x', /without a prefix/],
    ['lambda x: x', /map\(attribute/],
    ['[x for x in data.rows]', /selectattr/],
    ['any(x.ok for x in data.rows)', /selectattr/],
    ['data.n is 5', /write "== 5"/],
    ["data.name is not 'a'", /write "!= 'a'"/],
    ['len(*data.x)', /one by one/],
    ['dict(**data.user)', /one by one/],
    ['(n := 5) > 3', /set x/],
    ['data.a && data.b', /"and"/],
    ['data.a || data.b', /"or"/],
    ['!data.a', /"not x"/],
    ['data.a <> 5', /"!="/],
    ['data.a === 5', /"=="/],
    ['data.a !== 5', /"!="/],
    ['data.a ?? 5', /default/],
    ['data.a ? 1 : 2', /if condition else/],
    ['data?.a', /missing value stays empty/],
    ['isinstance(data.x, str)', /is string/],
    ['type(data.x) == str', /is string/],
    ['data.x.toLowerCase()', /lower\(\)/],
    ['data.tags.includes("a")', /item in list/],
    ['data.x is str', /is string/],
    ['import os', /import nothing/],
  ]
  test.each(cases)('%s', (source, hint) => {
    const fault = faultOf(() => compileExpression(source))
    expect(fault.code).toBe('TEMPLATE_SYNTAX')
    expect((fault.details as { hint: string }).hint).toMatch(hint)
  })
})

describe('failures while rendering are TEMPLATE_FAILED and say what to do', () => {
  const cases: [string, RegExp][] = [
    ['{{ data.missing + 1 }}', /a missing value and the number 1; convert/],
    ['{{ "5" + 3 }}', /join text with ~/],
    ['{{ 1 / 0 }}', /division by zero/],
    ['{{ 1 % 0 }}', /division by zero/],
    ['{{ 0 ** -1 }}', /division by zero/],
    ['{{ 2 ** 0.5 }}', /whole exponent/],
    ['{{ 1e308 * 10 }}', /too large/],
    ['{{ 10 ** 400 }}', /too large/],
    ['{{ "5" > 3 }}', /have no order/],
    ['{{ data.nothing > 3 }}', /have no order/],
    ['{% for x in data.nothing %}{% endfor %}', /not a list/],
    ['{% for a, b in data.tags %}{% endfor %}', /unpacked into 2 names/],
    ['{{ int("abc") }}', /no number/],
    ['{{ int("3.7") }}', /no number/],
    ['{{ data.n.lower() }}', /method of text/],
    ['{{ data.tags | map("nope") }}', /unknown filter/],
    ['{{ data.tags | select("stirng") }}', /did you mean "string"/],
    ['{{ "%d" | format("a") }}', /needs a number/],
    ['{{ "%s %s" | format("a") }}', /needs more arguments/],
    ['{{ "{0.__class__}".format(1) }}', /not a plain name/],
    ['{{ range(1, 5, 0) }}', /steps of 0/],
    ['{{ {"__proto__": 1} }}', /no key/],
  ]
  test.each(cases)('%s', (source, message) => {
    const fault = faultOf(() => render(source))
    expect([fault.code, fault.message]).toEqual(['TEMPLATE_FAILED', expect.stringMatching(message)])
  })
})

describe('strict: a missing value is an error that names its path', () => {
  const failing: [string, string][] = [
    ['{{ data.missing }}', '"data.missing" is missing'],
    ['x {{ data.user.address.zzz }} y', '"data.user.address.zzz" is missing'],
    ['{{ data.a.b.c }}', '"data.a" is missing'],
    ['{{ nope }}', '"nope" is missing'],
    ['{{ data.tags[9] }}', '"data.tags[9]" is missing'],
    ['{{ [] | first }}', '"[] | first" is missing'],
    ['{{ runtime.zz }}', '"runtime.zz" is missing'],
    ['{% if data.zz %}{% endif %}', '"data.zz" is missing'],
  ]
  test.each(failing)('%s fails', (source, message) => {
    const fault = faultOf(() => render(source, true))
    expect([fault.code, fault.message]).toEqual(['TEMPLATE_FAILED', expect.stringContaining(message)])
  })
  const passing: [string, Json][] = [
    ['{{ data.a.b | default("x") }}', 'x'],
    ['{{ data.a.b | d("x") | upper }}', 'X'],
    ['{{ data.a.b is defined }}', false],
    ['{{ data.a.b is undefined }}', true],
    ['{{ data.get("zz", 1) }}', 1],
    ['{{ "y" if false }}', ''],
    ['{{ data.nothing }}', null],
  ]
  test.each(passing)('%s passes', (source, expected) => expect(render(source, true)).toStrictEqual(expected))
  test('conditions are strict too', () =>
    expect(faultOf(() => evaluate('data.zz > 1', true)).code).toBe('TEMPLATE_FAILED'))
})

describe('runtime variables', () => {
  test('set_runtime and delete_runtime write them and give back what they were applied to', () => {
    const scope = scopeOf({ n: 7 }, new Map<string, Json>([['old', 1]]))
    const run = (source: string) => compileTemplate(source).render(scope)
    expect(run('{{ data.n | set_runtime("seen", [data.n]) }}')).toBe(7)
    expect(run('{{ data.n | delete_runtime("old") }}')).toBe(7)
    expect([...scope.variables]).toEqual([['seen', [7]]])
    expect(run('{{ runtime.seen }}')).toEqual([7])
    expect(run('{{ runtime["seen"][0] + 1 }}')).toBe(8)
    expect(run('{{ runtime.get("none", 4) }}')).toBe(4)
    expect(run('{{ "seen" in runtime and "old" not in runtime }}')).toBe(true)
    expect(run('{{ runtime.old }}')).toBe('')
  })
  test('a variable set earlier in the same source is read later in it', () => {
    expect(compileTemplate('{{ "" | set_runtime("a", 2) }}{{ runtime.a }}').render(scopeOf({}))).toBe('2')
  })
})

describe('constants and truth', () => {
  test.each(['', 'plain', '{ x }', 'a\n', '}} %}'])('%j has no template syntax and renders to itself', source => {
    const template = compileTemplate(source)
    expect([hasTemplate(source), template.constant, template.render(scopeOf({}))]).toEqual([false, true, source])
  })
  test.each(['{{ 1 }}', '{% if 1 %}{% endif %}', '{# c #}'])('%s has', source => {
    expect([hasTemplate(source), compileTemplate(source).constant]).toEqual([true, false])
  })
  const truths: [Json | undefined, boolean][] = [
    [undefined, false],
    [null, false],
    [false, false],
    [0, false],
    ['', false],
    [[], false],
    [{}, false],
    [true, true],
    [-1, true],
    ['0', true],
    [[0], true],
    [{ a: null }, true],
  ]
  test.each(truths)('isTruthy(%j) is %s', (value, expected) => expect(isTruthy(value)).toBe(expected))
})
