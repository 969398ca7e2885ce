/**
 * The tree of a parsed template. Every node knows where it starts and ends in the source, so that errors can quote it
 * and name line and column. Chains of one precedence (`a + b - c`, `a < b < c`) are one node: they stay flat to run.
 */
import type { Json } from '../../json.ts'

export type Span = { readonly at: number; readonly end: number }

export type Args = { readonly positional: readonly Expr[]; readonly named: ReadonlyMap<string, Expr> }

export type ExprKind =
  | { kind: 'literal'; value: Json }
  | { kind: 'name'; name: string }
  | { kind: 'list'; items: Expr[] }
  | { kind: 'object'; entries: [Expr, Expr][] }
  | { kind: 'member'; object: Expr; key: Expr }
  | { kind: 'slice'; object: Expr; bounds: (Expr | undefined)[] }
  | { kind: 'call'; name: string; args: Args }
  | { kind: 'method'; object: Expr; name: string; args: Args }
  | { kind: 'filter'; input: Expr; name: string; args: Args }
  | { kind: 'test'; input: Expr; name: string; args: Args }
  | { kind: 'not'; input: Expr }
  | { kind: 'sign'; op: string; input: Expr }
  | { kind: 'arithmetic'; first: Expr; rest: [string, Expr][] }
  | { kind: 'concat'; parts: Expr[] }
  | { kind: 'compare'; first: Expr; rest: [string, Expr][] }
  | { kind: 'logic'; op: 'and' | 'or'; parts: Expr[] }
  | { kind: 'choice'; test: Expr; chosen: Expr; otherwise: Expr | undefined }

export type Expr = ExprKind & Span

/** What a loop or a `set` assigns to: one name, or several that a list is unpacked into. */
export type Target = { readonly names: readonly string[]; readonly unpack: 'one' | 'list' }

export type FilterCall = { name: string; args: Args } & Span

export type Stmt =
  | { kind: 'text'; text: string }
  | { kind: 'output'; value: Expr }
  | { kind: 'if'; branches: { test: Expr; body: Stmt[] }[]; otherwise: Stmt[] }
  | { kind: 'for'; target: Target; items: Expr; only: Expr | undefined; body: Stmt[]; otherwise: Stmt[] }
  | { kind: 'set'; target: Target; value: Expr }
  | { kind: 'set-block'; name: string; filters: FilterCall[]; body: Stmt[] }
  | { kind: 'namespace'; name: string; fields: ReadonlyMap<string, Expr> }
  | { kind: 'set-field'; name: string; field: string; value: Expr }
  | { kind: 'with'; values: [string, Expr][]; body: Stmt[] }
  | { kind: 'filter-block'; filters: FilterCall[]; body: Stmt[] }
  | { kind: 'break' }
  | { kind: 'continue' }

/** A parsed source: what it does, which names it reads, and which it gives itself (all others are known beforehand). */
export type Tree = {
  readonly body: Stmt[]
  readonly read: ReadonlySet<string>
  readonly assigned: ReadonlySet<string>
  readonly namespaces: ReadonlySet<string>
}
