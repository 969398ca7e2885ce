/**
 * Templates and conditions (1.11): Jinja over plain data. A source is compiled once, at load, to closures; rendering
 * reads the scope and changes nothing but runtime variables. What is in the scope can neither be called nor reach the
 * host (values.ts holds that wall), and every rendering ends, since it is bounded by counts (run.ts).
 * T1 a source that is exactly one `{{ expression }}` gives its native value; missing gives "". T2 mixed text gives a
 * string: text as it is, everything else as JSON (`true`, `null`, `[1, 2]`), missing as nothing.
 */
import type { Json } from '../json.ts'
import { type Context, compileExpr } from './template/compile-expression.ts'
import { compileBody } from './template/compile-statement.ts'
import { parseExpression, parseTemplate } from './template/parse-template.ts'
import { Run } from './template/run.ts'
import type { TemplateScope } from './template/scope.ts'
import type { Stmt, Tree } from './template/tree.ts'

export type { TemplateScope } from './template/scope.ts'
export { isTruthy } from './template/values.ts'

export type TemplateOptions = {
  /** `settings.strict_templates`: a missing value is `TEMPLATE_FAILED`, naming its path. */
  readonly strict?: boolean
}

export interface Template {
  /** No template syntax in the source: it renders to itself. */
  readonly constant: boolean
  /** Throws `TEMPLATE_FAILED` or `TEMPLATE_BUDGET`. */
  render(scope: TemplateScope): Json
}

export interface Expression {
  /** The value, null when it is missing. Throws `TEMPLATE_FAILED` or `TEMPLATE_BUDGET`. */
  evaluate(scope: TemplateScope): Json
}

/** Whether a text contains `{{`, `{%` or `{#`. */
export function hasTemplate(text: string): boolean {
  return text.includes('{{') || text.includes('{%') || text.includes('{#')
}

/** Throws `TEMPLATE_SYNTAX` with details `{ line, column, hint? }`, or `TEMPLATE_BUDGET`. */
export function compileTemplate(source: string, options: TemplateOptions = {}): Template {
  if (!hasTemplate(source)) return { constant: true, render: () => source }
  const tree = parseTemplate(source)
  const context = contextOf(source, tree, options)
  const [only] = tree.body
  if (tree.body.length === 1 && only?.kind === 'output') {
    const native = compileExpr(only.value, context)
    return { constant: false, render: scope => orElse(native(new Run(scope)), '') }
  }
  const body = compileBody(tree.body, context)
  const render = (scope: TemplateScope) => {
    const run = new Run(scope)
    body(run)
    return run.out
  }
  return { constant: false, render }
}

/** Missing is not JSON: what stands for it. */
function orElse(value: Json | undefined, missing: Json): Json {
  return value === undefined ? missing : value
}

/** A condition: one expression without braces. Throws `TEMPLATE_SYNTAX` with details `{ line, column, hint? }`. */
export function compileExpression(source: string, options: TemplateOptions = {}): Expression {
  const tree = parseExpression(source)
  const only = tree.body[0] as Extract<Stmt, { kind: 'output' }>
  const evaluate = compileExpr(only.value, contextOf(source, tree, options))
  return { evaluate: scope => orElse(evaluate(new Run(scope)), null) }
}

function contextOf(source: string, tree: Tree, options: TemplateOptions): Context {
  return { source, tree, missing: options.strict === true ? 'fails' : 'empty', depth: 0 }
}
