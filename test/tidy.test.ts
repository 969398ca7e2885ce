/**
 * The linter of our own rules: what crosses a boundary, what must not be written where, what nobody uses. Biome holds
 * the rest (function and file length, parameters, import cycles, skipped tests): see biome.json.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  bannedWords,
  deadFiles,
  deepNesting,
  forbiddenImports,
  misnamedNodes,
  missingHeader,
  type Source,
} from './support/tidy-rules.ts'

const root = join(import.meta.dirname, '..')

/** What is started from outside instead of imported. */
const entries = new Set([
  'engine/index.ts',
  'engine/globals.d.ts',
  'daemon/index.ts',
  'daemon/bin.ts',
  'daemon/real-life.ts',
  'sim/index.ts',
  'sim/cli.ts',
])

/** Suppressed lint rules; may only go down. */
const suppressionsMax = 3

function read(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => join(folder, name))
    .map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

const sources = ['engine', 'daemon', 'sim'].flatMap(read)
// The rules and their own examples name what they forbid.
const tests = read('test').filter(({ path }) => !/tidy(-rules|\.test)\.ts$/.test(path))

describe('the tree', () => {
  it('uses no banned word', () => expect([...sources, ...tests].flatMap(bannedWords)).toEqual([]))
  it('imports in the allowed directions only', () => expect(sources.flatMap(forbiddenImports)).toEqual([]))
  it('has no file that nothing imports', () => expect(deadFiles(sources, entries)).toEqual([]))
  it('names node files after their identifier', () => expect(sources.flatMap(misnamedNodes)).toEqual([]))
  it('nests no control flow deeper than three', () => expect([...sources, ...tests].flatMap(deepNesting)).toEqual([]))
  it('says in each file why it exists', () => expect(sources.flatMap(missingHeader)).toEqual([]))

  it('suppresses no more lint rules than it did', () => {
    const suppressed = [...sources, ...tests]
      .filter(({ text }) => text.includes('biome-ignore'))
      .map(({ path }) => path)
    expect(suppressed.length, suppressed.join('\n')).toBeLessThanOrEqual(suppressionsMax)
  })

  it('names no registry', () => {
    const files = ['package-lock.json', '.npmrc', 'package.json'].filter(name => existsSync(join(root, name)))
    const naming = files.filter(name => /https?:\/\/[^"\s]*registry/.test(readFileSync(join(root, name), 'utf8')))
    expect(naming).toEqual([])
  })

  it('has a test behind every invariant of the README', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const invariants = readme.split('\n').filter(line => /^- \*\*I\d+\*\*/.test(line))
    expect(invariants.length).toBeGreaterThan(5)
    const unheld = invariants.filter(line => {
      const named = [...line.matchAll(/`((?:test|engine)\/[^`]+)`/g)].map(match => match[1] as string)
      return named.length === 0 || named.some(path => !existsSync(join(root, path)))
    })
    expect(unheld).toEqual([])
  })
})

describe('the rules', () => {
  const engineFile = (text: string): Source => ({ path: 'engine/run/x.ts', text })

  it.each([
    ['Date.now()'],
    ['new Date()'],
    ['String(Date())'],
    ['Math.random()'],
    ['setTimeout(f, 1)'],
    ['clearInterval(t)'],
    ['process.env'],
    ['console.log(1)'],
    ['Math.sin(1)'],
    ['const key = `oe:x`'],
    ['// TODO later'],
  ])('forbid %s in the engine', text => expect(bannedWords(engineFile(text))).not.toEqual([]))

  it.each([['new Date(ms)'], ['// never Date.now()'], ['/* setTimeout */'], ['Math.floor(1)']])('allow %s', text =>
    expect(bannedWords(engineFile(text))).toEqual([]),
  )

  it.each([
    ['engine/a.ts', '../daemon/redis.ts'],
    ['engine/a.ts', 'node:fs'],
    ['engine/a.ts', 'ioredis'],
    ['daemon/a.ts', '../sim/world.ts'],
    ['daemon/commands/sim.ts', '../../sim/world.ts'],
    ['daemon/commands/run.ts', '../../sim/cli.ts'],
    ['daemon/a.ts', 'ioredis'],
    ['sim/a.ts', '../daemon/redis.ts'],
    ['sim/a.ts', '../test/support/x.ts'],
  ])('forbid that %s imports %s', (path, specifier) =>
    expect(forbiddenImports({ path, text: `import { x } from '${specifier}'` })).toHaveLength(1),
  )

  it.each([
    ['engine/run/a.ts', '../graph/plan.ts'],
    ['engine/a.ts', 'zod'],
    ['daemon/redis.ts', 'ioredis'],
    ['sim/a.ts', '../engine/index.ts'],
    ['daemon/commands/sim.ts', '../../sim/cli.js'],
  ])('allow that %s imports %s', (path, specifier) =>
    expect(forbiddenImports({ path, text: `import { x } from '${specifier}'` })).toEqual([]),
  )

  it('find dead files, also behind dynamic imports', () => {
    const files = [
      { path: 'engine/index.ts', text: "export * from './a.ts'" },
      { path: 'engine/a.ts', text: "await import('./b.ts')" },
      { path: 'engine/b.ts', text: '' },
      { path: 'engine/c.ts', text: "import './c.ts'.replace" },
      { path: 'engine/d.ts', text: '' },
    ]
    expect(deadFiles(files, new Set(['engine/index.ts', 'engine/c.ts']))).toEqual(['engine/d.ts'])
  })

  it('find nesting, function by function', () => {
    const nested = (depth: number): string =>
      Array.from({ length: depth }, (_, i) => `${'  '.repeat(i + 1)}if (x) {`).join('\n')
    expect(deepNesting(engineFile(`function f() {\n${nested(3)}`))).toEqual([])
    expect(deepNesting(engineFile(`function f() {\n${nested(4)}`))).toHaveLength(1)
    expect(deepNesting(engineFile(`function f() {\n${nested(3)}\n        g(() => {\n          if (y) {`))).toEqual([])
  })

  it('find misnamed nodes and missing headers', () => {
    const text = "static override identifier = 'counter'"
    expect(misnamedNodes({ path: 'engine/nodes/flow/count.ts', text })).toHaveLength(1)
    expect(misnamedNodes({ path: 'engine/nodes/flow/counter.ts', text })).toEqual([])
    expect(missingHeader(engineFile('import x'))).toHaveLength(1)
    expect(missingHeader(engineFile('#!/usr/bin/env node\n/** Why. */'))).toEqual([])
  })
})
