/** The rules of the house that neither the compiler nor Biome can hold, as pure functions over paths and texts. */
import { posix } from 'node:path'

export type Source = { path: string; text: string }

type Ban = { where: RegExp; except?: RegExp; pattern: RegExp; instead: string }

/** What may not be written where, and what to write instead. */
export const bans: readonly Ban[] = [
  ban(/^engine\//, /\bDate\.now\b/, 'context.clock or the Clock port'),
  ban(/^engine\//, /\bnew Date\(\s*\)/, 'new Date(ms) with a time from the Clock port'),
  ban(/^engine\//, /(?<!new )\bDate\(/, 'the Clock port'),
  ban(/^engine\//, /\bMath\.random\b/, 'the Random port'),
  ban(/^engine\//, /\b(randomUUID|getRandomValues|randomBytes)\b/, 'the Random port'),
  ban(/^engine\//, /\b(set|clear)(Timeout|Interval|Immediate)\b/, 'clock.sleep of the Clock port'),
  ban(/^engine\//, /\bperformance\.now\b/, 'clock.monotonic of the Clock port'),
  ban(/^engine\//, /\b(process|globalThis)\./, 'a port'),
  ban(/^engine\//, /\bconsole\./, 'the Log port'),
  ban(/^engine\//, /\bMath\.(a?sinh?|a?cosh?|a?tanh?|exp|expm1|log|log2|log10|log1p|cbrt|hypot)\b/, 'exact arithmetic'),
  ban(/^engine\//, /\b(toLocale\w+|localeCompare|Intl\.)/, 'code that gives the same on every machine'),
  { ...ban(/^(engine|daemon|sim)\//, /['"`]oe:/, 'engine/store/keys.ts'), except: /^engine\/store\// },
  {
    ...ban(/^(engine|daemon|sim)\//, /\bprocess\.exit\b/, 'an exit code, returned to daemon/bin.ts'),
    except: /^daemon\/(bin|pool-worker)\.ts$/,
  },
  {
    ...ban(/^(engine|daemon|sim)\//, /\bprocess\.env\b/, 'an option of the command line'),
    except: /^(daemon\/(output|cli|config)\.ts|daemon\/commands\/|sim\/cli|sim\/user-test\.ts)/,
  },
  ban(/^(engine|daemon|sim|test)\//, /\b(TODO|FIXME|XXX)\b/, 'the work itself, or an issue'),
  ban(/^test\//, /\b(it|test|describe|suite)\.(skip|only|todo|skipIf)\b/, 'a test that runs'),
]

/** Which packages may be imported where: everything not named here is free. */
const packageHomes: readonly [RegExp, RegExp][] = [
  [/^ioredis$/, /^daemon\/redis(-\w+)?\.ts$/],
  [/^ioredis-mock$/, /^engine\/memory-redis\//],
  [/^piscina$/, /^(daemon\/(pools|pool-worker)|sim\/(workers|worker))\.ts$/],
  [/^(fastify|@fastify\/.*)$/, /^daemon\/(server|routes-.*)\.ts$/],
  [/^commander$/, /^(daemon\/(cli|bin)\.ts|daemon\/commands\/|sim\/cli)/],
  [/^(node:.*|undici|pino|tsx.*|@sinonjs\/.*|fast-check)$/, /^(daemon|sim)\//],
]

/** The one way from the daemon into the simulator. */
const bridge = { from: 'daemon/commands/sim.ts', to: 'sim/cli.ts' }

/** Folders a folder may import from, itself included. */
const directions: Record<string, readonly string[]> = {
  engine: ['engine'],
  daemon: ['daemon', 'engine'],
  sim: ['sim', 'engine'],
}

function ban(where: RegExp, pattern: RegExp, instead: string): Ban {
  return { where, pattern, instead }
}

/** The text with comments blanked out, line numbers kept. */
export function withoutComments(text: string): string {
  const blank = (part: string): string => part.replaceAll(/[^\n]/g, ' ')
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, blank).replaceAll(/(?<=^|\s)\/\/.*$/gm, blank)
}

/** Everything a file imports, exports from, or reaches through `new URL(…, import.meta.url)`. */
export function importsOf({ text }: Source): string[] {
  const code = withoutComments(text)
  const patterns = [
    /\bfrom\s+['"]([^'"]+)['"]/g,
    /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
    /^import\s+['"]([^'"]+)['"]/gm,
    /new URL\(\s*['"]([^'"]+)['"],\s*import\.meta\.url/g,
  ]
  return patterns.flatMap(pattern => [...code.matchAll(pattern)].map(match => match[1] as string))
}

export function resolveImport(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier.replace(/\.js$/, '.ts')))
}

/** One line per banned word: where, what, what instead. */
export function bannedWords(source: Source): string[] {
  const comments = /TODO/
  return bans.flatMap(({ where, except, pattern, instead }) => {
    if (!where.test(source.path) || except?.test(source.path)) return []
    const text = comments.test(pattern.source) ? source.text : withoutComments(source.text)
    return text
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${source.path}:${i + 1}: ${line.trim()} — use ${instead}`] : []))
  })
}

/** One line per import that crosses a boundary. */
export function forbiddenImports(source: Source): string[] {
  const folder = source.path.split('/')[0] as string
  const allowed = directions[folder]
  if (allowed === undefined) return []
  return importsOf(source).flatMap(specifier => {
    if (specifier.startsWith('.')) {
      const path = resolveImport(source.path, specifier)
      if (source.path === bridge.from && path === bridge.to) return []
      const target = path.split('/')[0] as string
      const isOtherFolder = Object.hasOwn(directions, target) || target === 'test' || target === 'fixtures'
      return isOtherFolder && !allowed.includes(target) ? [`${source.path} imports ${specifier}`] : []
    }
    const home = packageHomes.find(([name]) => name.test(specifier))
    return home === undefined || home[1].test(source.path) ? [] : [`${source.path} imports ${specifier}`]
  })
}

/** Files that nothing imports and that are no entry. */
export function deadFiles(sources: readonly Source[], entries: ReadonlySet<string>): string[] {
  const reached = new Set(
    sources.flatMap(source =>
      importsOf(source)
        .filter(specifier => specifier.startsWith('.'))
        .map(specifier => resolveImport(source.path, specifier)),
    ),
  )
  return sources.map(source => source.path).filter(path => !reached.has(path) && !entries.has(path))
}

/** Node files whose name is not the identifier of the class in them. */
export function misnamedNodes(source: Source): string[] {
  if (!source.path.startsWith('engine/nodes/')) return []
  const identifiers = [...source.text.matchAll(/static override identifier = '([^']+)'/g)].map(match => match[1])
  const name = posix.basename(source.path, '.ts')
  return identifiers
    .filter(identifier => identifier !== name)
    .map(identifier => `${source.path} holds the node "${identifier}": name it ${identifier}.ts`)
}

/** Files that do not begin with a comment that says why they exist. */
export function missingHeader(source: Source): string[] {
  const text = source.text.replace(/^#!.*\n/, '')
  return text.startsWith('/**') ? [] : [`${source.path} has no header comment: say why it exists`]
}

const nestingMax = 3
const controlBlock = /^(\} else\b.*|(if|for|while|do|switch|try|catch|finally)\b.*|\} (catch|finally).*) \{$/

/** Blocks of control flow more than three deep inside one function. Reads the indentation that Biome made. */
export function deepNesting({ path, text }: Source): string[] {
  const faults: string[] = []
  let open: { indent: number; isControl: boolean }[] = []
  for (const [i, line] of withoutComments(text).split('\n').entries()) {
    const code = line.trim()
    if (code === '') continue
    const indent = line.length - line.trimStart().length
    open = open.filter(block => block.indent < indent)
    if (!code.endsWith('{')) continue
    open.push({ indent, isControl: controlBlock.test(code) })
    const depth = open.length - 1 - open.findLastIndex(block => !block.isControl)
    if (depth > nestingMax) faults.push(`${path}:${i + 1}: ${depth} blocks deep; make the inner ones a function`)
  }
  return faults
}
