/**
 * Statements to closures. A closure answers how it ended (`break` and `continue` travel up to their loop), writes text
 * to the run, and leaves names in the run's frames: loops, `with` and filter blocks have frames of their own, `if` none.
 */
import type { Json } from '../../json.ts'
import { applyFilter, type Context, compileExpr, deeper, type Eval } from './compile-expression.ts'
import { failure } from './faults.ts'
import type { Run, Value } from './run.ts'
import type { FilterCall, Stmt, Target } from './tree.ts'
import { elements, kindOf, print, truthy } from './values.ts'

type End = 'done' | 'break' | 'continue'
export type Exec = (run: Run) => End

type Of<K extends Stmt['kind']> = Extract<Stmt, { kind: K }>

/** A closure that runs statements one after another. Throws `TEMPLATE_SYNTAX` or `TEMPLATE_BUDGET`. */
export function compileBody(body: readonly Stmt[], outer: Context): Exec {
  const context = deeper(outer)
  const steps = body.map(stmt => (compilers[stmt.kind] as (stmt: Stmt, context: Context) => Exec)(stmt, context))
  return run => {
    for (const step of steps) {
      run.spend(1)
      const end = step(run)
      if (end !== 'done') return end
    }
    return 'done'
  }
}

function compileIf(stmt: Of<'if'>, context: Context): Exec {
  const branches = stmt.branches.map(({ test, body }) => ({
    test: compileExpr(test, context),
    body: compileBody(body, context),
  }))
  const otherwise = compileBody(stmt.otherwise, context)
  return run => {
    for (const { test, body } of branches) if (truthy(run, test(run))) return body(run)
    return otherwise(run)
  }
}

type Assign = (run: Run, value: Value) => void

function compileTarget({ names, unpack }: Target): Assign {
  const [only] = names
  if (unpack === 'one' && only !== undefined) return (run, value) => run.set(only, value)
  return (run, value) => {
    if (!Array.isArray(value) || value.length !== names.length) {
      throw failure(`${kindOf(value)} cannot be unpacked into ${names.length} names; give a list of as many`)
    }
    for (const [i, name] of names.entries()) run.set(name, value[i])
  }
}

/** What `loop` is inside a loop. */
function loopInfo(items: readonly Json[], index: number, depth: number): Json {
  const info: Record<string, Json> = {
    index: index + 1,
    index0: index,
    revindex: items.length - index,
    revindex0: items.length - index - 1,
    first: index === 0,
    last: index === items.length - 1,
    length: items.length,
    depth,
    depth0: depth - 1,
  }
  if (index > 0) info.previtem = items[index - 1] as Json
  if (index < items.length - 1) info.nextitem = items[index + 1] as Json
  return info
}

function compileFor(stmt: Of<'for'>, context: Context): Exec {
  const items = compileExpr(stmt.items, context)
  const assign = compileTarget(stmt.target)
  const only = stmt.only === undefined ? undefined : compileExpr(stmt.only, context)
  const body = compileBody(stmt.body, context)
  const otherwise = compileBody(stmt.otherwise, context)
  const readsLoop = context.tree.read.has('loop')
  return run => {
    const all = elements(run, items(run))
    const kept = only === undefined ? all : filtered(run, all, assign, only)
    if (kept.length === 0) return otherwise(run)
    run.loops += 1
    for (let i = 0; i < kept.length; i++) {
      const end = inFrame(run, () => {
        assign(run, kept[i])
        if (readsLoop) run.set('loop', loopInfo(kept, i, run.loops))
        return body(run)
      })
      if (end === 'break') break
    }
    run.loops -= 1
    return 'done'
  }
}

function filtered(run: Run, all: readonly Json[], assign: Assign, only: Eval): Json[] {
  return all.filter(item => {
    return inFrame(run, () => {
      assign(run, item)
      return truthy(run, only(run))
    })
  })
}

/** Names set by `body` end with it. */
function inFrame<T>(run: Run, body: () => T): T {
  run.spend(1)
  run.push()
  const result = body()
  run.pop()
  return result
}

/** What a block wrote, put through its filters. A frame of its own holds the text between them. */
function compileCapture(calls: readonly FilterCall[], body: readonly Stmt[], context: Context): Capture {
  const exec = compileBody(body, context)
  let value: Eval = run => run.captured
  for (const call of calls) value = applyFilter(call, value, context)
  return run => {
    let end: End = 'done'
    const captured = run.capture(() => {
      end = inFrame(run, () => exec(run))
    })
    run.captured = run.made(captured)
    return { end, value: value(run) }
  }
}

type Capture = (run: Run) => { end: End; value: Value }

function compileSetBlock(stmt: Of<'set-block'>, context: Context): Exec {
  const capture = compileCapture(stmt.filters, stmt.body, context)
  return run => {
    const { end, value } = capture(run)
    run.set(stmt.name, value)
    return end
  }
}

function compileFilterBlock(stmt: Of<'filter-block'>, context: Context): Exec {
  const capture = compileCapture(stmt.filters, stmt.body, context)
  return run => {
    const { end, value } = capture(run)
    run.write(print(run, value))
    return end
  }
}

const compilers: { readonly [K in Stmt['kind']]: (stmt: Of<K>, context: Context) => Exec } = {
  text: stmt => run => {
    run.write(stmt.text)
    return 'done'
  },
  output: (stmt, context) => {
    const value = compileExpr(stmt.value, context)
    return run => {
      run.write(print(run, value(run)))
      return 'done'
    }
  },
  if: compileIf,
  for: compileFor,
  set: (stmt, context) => {
    const value = compileExpr(stmt.value, context)
    const assign = compileTarget(stmt.target)
    return run => {
      assign(run, value(run))
      return 'done'
    }
  },
  'set-block': compileSetBlock,
  namespace: (stmt, context) => {
    const fields = [...stmt.fields].map(([name, value]) => [name, compileExpr(value, context)] as const)
    return run => {
      run.setSpace(stmt.name, new Map(fields.map(([name, value]) => [name, value(run)])))
      return 'done'
    }
  },
  'set-field': (stmt, context) => {
    const value = compileExpr(stmt.value, context)
    return run => {
      const space = run.space(stmt.name)
      if (space === undefined) throw failure(`the namespace "${stmt.name}" is not set here; set it before the block`)
      space.set(stmt.field, value(run))
      return 'done'
    }
  },
  with: (stmt, context) => {
    const values = stmt.values.map(([name, value]) => [name, compileExpr(value, context)] as const)
    const body = compileBody(stmt.body, context)
    return run =>
      inFrame(run, () => {
        for (const [name, value] of values) run.set(name, value(run))
        return body(run)
      })
  },
  'filter-block': compileFilterBlock,
  break: () => () => 'break',
  continue: () => () => 'continue',
}
