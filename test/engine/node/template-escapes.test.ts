/**
 * Ways out of template languages that worked somewhere: nunjucks, n8n, Flowise, Handlebars, EJS, Jinja2, Twig, Angular.
 * Each must come to nothing: a coded error, or an empty value, with the host and the data as they were.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: such placeholders are attempts of the corpus
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineError } from '../../../engine/errors.ts'
import { compileExpression, compileTemplate, type TemplateScope } from '../../../engine/node/template.ts'
import { deepFreeze, scopeOf } from '../../support/template-scope.ts'

/** Each is an expression; it is tried as a condition, as a whole field and inside text. */
const expressions = [
  // constructors to Function (nunjucks CVE-style, n8n CVE-2025-68613, Flowise, Angular, Vue)
  'data.constructor.constructor("return process")()',
  'data.constructor',
  'data["constructor"]["constructor"]("return process.env")()',
  'data["const" ~ "ructor"]',
  'data["\\x63onstructor"]',
  'data["\\u0063onstructor"]',
  'data[["constructor"]]',
  'data.list.constructor',
  'data.text.constructor.constructor("return 1")()',
  '"".constructor.constructor("return process.mainModule")()',
  '"".constructor.fromCharCode(65)',
  '[].constructor.constructor("alert(1)")()',
  '{}.constructor',
  '(1).constructor.constructor("return this")()',
  'true.constructor',
  "range.constructor(\"return global.process.mainModule.require('child_process').execSync('id')\")()",
  'range(3).constructor',
  'range["constructor"]',
  'loop.constructor',
  'loop.cycle.constructor("return 1")()',
  'data.list.map.constructor("return 1")()',
  'data.get.constructor("return 1")()',
  'data.text.lower.constructor',
  '(data.text | upper).constructor',
  'runtime.constructor',
  'runtime["__proto__"]',
  'runtime.get("constructor")',
  'runtime.set("x", 1)',
  'runtime.get.constructor',
  'iteration.constructor.constructor',
  'workflowenv.constructor.constructor("return process.env")()',
  // prototypes
  'data.__proto__',
  'data["__proto__"]["polluted"]',
  'data.list.__proto__.push',
  '"".__proto__',
  'data.prototype',
  'data.__defineGetter__("x", data.y)',
  'data.__lookupGetter__("__proto__")',
  'data.hasOwnProperty("x")',
  'data.toString()',
  'data.valueOf',
  'data.list.length',
  'data.list.concat([1])',
  'data.list.push(4)',
  'data.list.pop()',
  'data.evil()',
  'data.evil.call(data)',
  'data.list | map(attribute="constructor") | first',
  'data.list | map(attribute="__proto__.x") | list | first',
  '[data] | map(attribute="constructor.constructor") | first',
  '[data] | groupby("constructor") | map("first") | first',
  '[data] | sort(attribute="__proto__") | map(attribute="zz") | first',
  '[data] | selectattr("constructor") | list | first',
  '[data] | sum(attribute="__proto__")',
  '[data] | max(attribute="constructor") | attr("x")',
  'data | attr("constructor")',
  'data | map("constructor") | list',
  'data.list | map("__proto__") | list',
  'data.list | select("constructor") | list',
  'data.list | map("toString") | list',
  'data.list | __proto__',
  'data.list | constructor',
  'data is constructor',
  'constructor("return 1")()',
  '__proto__.x',
  'hasOwnProperty("x")',
  'data.get("__proto__")',
  'data.get("constructor")',
  '"__proto__" in data and data.x.y',
  'dict(__proto__=1)',
  'dict(constructor=1)',
  'dict([["__proto__", {"polluted": 1}]])',
  '{"__proto__": {"polluted": 1}}',
  '{"const" ~ "ructor": 1}',
  // globals and host objects
  'process.env',
  'process.mainModule.require("fs")',
  'globalThis',
  'global.process',
  'window',
  'this',
  'this.constructor',
  'self',
  'require("child_process")',
  'import("fs")',
  'eval("1")',
  'Function("return 1")()',
  'console.log(1)',
  'fetch("http://x")',
  'Object.keys(data)',
  'Reflect.ownKeys(data)',
  'JSON.stringify(data)',
  'Buffer',
  'arguments.callee',
  // Jinja2 and Flask
  '"".__class__.__mro__[1].__subclasses__()',
  '"".__class__',
  'cycler.__init__.__globals__.os.popen("id").read()',
  'lipsum.__globals__["os"]',
  'joiner.__init__',
  'self.__init__.__globals__',
  'request.application.__globals__',
  'config.items()',
  'url_for.__globals__',
  'get_flashed_messages.__globals__',
  'namespace.__init__',
  '"{0.__class__}".format(data)',
  '"{0[constructor]}".format(data)',
  '"{x.__init__.__globals__}".format(x=data)',
  '"%(constructor)s" % data | trim',
  '__import__("os").popen("id")',
  'data.update({"x": 1})',
  'data.__setitem__("x", 1)',
  'data.items.__call__()',
  // other engines: Twig, Handlebars, EJS, Vue, Velocity
  '["id"] | filter("system")',
  '["id"] | map("system") | join',
  '_self.env.registerUndefinedFilterCallback("exec")',
  'lookup(data, "constructor")',
  '$on.constructor("alert(1)")()',
  'x = data.constructor',
  'data.x := 5',
  '#set($x=1)',
  '`${data}`',
  'data.x; data.y',
  '(() => 1)()',
  'function() { return 1 }',
  'new Date()',
  'data?.constructor',
  '...data.list',
  'delete data.text',
  'data.text++',
]

/** Whole templates. */
const templates = [
  '{% set data.x = 1 %}',
  '{% set data.__proto__.polluted = 1 %}',
  '{% set __proto__ = 1 %}{{ data.__proto__ }}',
  '{% set constructor = data.constructor %}{{ constructor }}',
  '{% for k in data.__proto__ %}{{ k }}{% endfor %}',
  '{% for x in [data] %}{{ x.constructor }}{% endfor %}',
  '{% set ns = namespace(__proto__=data.zz) %}{{ ns.polluted }}',
  '{% set ns = namespace() %}{% set ns.__proto__ = data.zz %}{{ ns.constructor }}',
  '{% set runtime.x = 1 %}',
  '{{ 1 | set_runtime("__proto__", {"polluted": 1}) }}',
  '{{ 1 | set_runtime("constructor", 1) }}',
  '{{ 1 | delete_runtime("__proto__") }}',
  '{% include "/etc/passwd" %}',
  '{% import "os" as os %}{{ os.popen("id") }}',
  '{% from "os" import popen %}',
  '{% extends data.text %}',
  '{% macro m() %}{{ caller() }}{% endmacro %}{{ m.constructor }}',
  '{% call m() %}{% endcall %}',
  '{% filter constructor %}x{% endfilter %}',
  '{% with x = data.constructor %}{{ x.constructor }}{% endwith %}',
  '{% debug %}',
  '{% do data.list.append(1) %}',
  '{% autoescape false %}{% endautoescape %}',
  '{% asyncEach x in data.list %}{% endeach %}',
  '<%= global.process.mainModule.require("child_process") %>{{ "" }}{{ data.constructor',
  '{{#with "s" as |string|}}{{/with}}',
  '${7*7}{{ #{7*7} }}',
]

/** Taken before anything ran: what the host's own objects look like. */
const hostObjects = [
  Object.prototype,
  Array.prototype,
  String.prototype,
  Function.prototype,
  Number.prototype,
  globalThis,
  Object,
]
const shape = () => hostObjects.map(object => Reflect.ownKeys(object).map(String).sort())

let called = 0
const evil = () => {
  called += 1
  return 'escaped'
}
const parsed = JSON.parse(
  '{"__proto__": {"polluted": "own"}, "list": [1, 2, 3], "text": "t", "constructor": {"name": "own"}}',
)
const scope: TemplateScope = { ...scopeOf(deepFreeze({ ...parsed, evil })), workflowenv: deepFreeze({ A: 'b' }) }

let before: string[][]
beforeAll(() => {
  before = shape()
})
afterAll(() => {
  expect(shape()).toEqual(before)
  expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  expect(called).toBe(0)
})

/** What an attempt comes to: the code of its error, or its value. */
function outcome(attempt: () => unknown): unknown {
  try {
    return attempt()
  } catch (error) {
    if (error instanceof EngineError) return error.code
    throw error
  }
}

const inert = ['TEMPLATE_SYNTAX', 'TEMPLATE_FAILED', 'TEMPLATE_BUDGET', '', null, false]

describe('escapes are inert', () => {
  test('the corpus has at least 60 attempts, each once', () => {
    expect(new Set([...expressions, ...templates]).size).toBeGreaterThanOrEqual(60)
    expect(new Set(expressions).size).toBe(expressions.length)
  })

  test.each(expressions)('%s', source => {
    expect(inert).toContainEqual(outcome(() => compileExpression(source).evaluate(scope)))
    expect(inert).toContainEqual(outcome(() => compileTemplate(`{{ ${source} }}`).render(scope)))
    expect([...inert, '<>', '<null>', '<false>']).toContainEqual(
      outcome(() => compileTemplate(`<{{ ${source} }}>`).render(scope)),
    )
    expect(inert).toContainEqual(outcome(() => compileTemplate(`{% if ${source} %}{% endif %}`).render(scope)))
  })

  test.each(templates)('%s', source => {
    expect(inert).toContainEqual(outcome(() => compileTemplate(source).render(scope)))
  })

  test('the same corpus would find something: a plain field is not inert', () => {
    expect(inert).not.toContainEqual(outcome(() => compileExpression('data.text').evaluate(scope)))
  })

  test('a function or a getter of a class never answers, own fields do', () => {
    class Sneaky {
      own = 'yes'
      get secret() {
        return 'escaped'
      }
      method() {
        return 'escaped'
      }
    }
    const sneaky = scopeOf({ x: new Sneaky() as never, f: evil as never })
    const render = (source: string) => compileTemplate(source).render(sneaky)
    expect(render('{{ data.x.own }}{{ data.x.secret }}{{ data.x.method }}|{{ data.f }}|{{ data.f.name }}')).toBe(
      'yes||',
    )
  })
})
