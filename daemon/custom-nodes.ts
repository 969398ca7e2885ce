/**
 * Node classes of the user (`--nodes DIR`): every file of the folder is imported, every export that is a node class
 * joins the registry. TypeScript needs a Node that strips types, or `tsx` beside the package; the error says so.
 */
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import { Node, type NodeClass } from '../engine/node/node.ts'
import { noteOrigin } from '../engine/node/node-registry.ts'

/** Tests may lie beside what they test. */
const extensions = /(?<!\.d|\.test|\.spec)\.(js|mjs|ts|mts)$/

/**
 * The node classes that the files of a folder export, in the order of the files' names. Rejects with `USAGE` when the
 * folder cannot be read, a file cannot be imported, or exports no node class. What was imported once is what it was, but
 * in another `edition` each file is read again (what it imports itself is not).
 */
export async function loadCustomNodes(dir: string, edition = ''): Promise<NodeClass[]> {
  const names = await readdir(dir).catch(error => {
    throw new EngineError('USAGE', `Cannot read custom nodes from "${dir}": ${messageOf(error)}; name a folder`)
  })
  const classes = new Set<NodeClass>()
  for (const name of names.filter(name => extensions.test(name)).sort()) {
    for (const found of await importNodes(join(dir, name), edition)) classes.add(found)
  }
  return [...classes]
}

async function importNodes(path: string, edition: string): Promise<NodeClass[]> {
  const exported = await importFile(path, edition)
  const found = Object.entries(exported).flatMap(([name, value]) => {
    if (!isNodeClass(value)) return []
    noteOrigin(value, `export "${name}" of ${path}`)
    return [value]
  })
  if (found.length > 0) return found
  throw new EngineError(
    'USAGE',
    `Cannot load custom nodes from "${path}": it exports no class that extends a node class`,
  )
}

async function importFile(path: string, edition: string): Promise<Record<string, unknown>> {
  const url = pathToFileURL(resolve(path)).href + (edition === '' ? '' : `?edition=${edition}`)
  try {
    if (!/ts$/.test(path) || 'typescript' in process.features) return await import(url)
    const { register } = await import('tsx/esm/api')
    const unregister = register()
    try {
      return await import(url)
    } finally {
      await unregister()
    }
  } catch (error) {
    throw new EngineError(
      'USAGE',
      `Cannot import custom nodes from "${path}": ${messageOf(error)}; ${adviceFor(error)}`,
      {
        cause: error,
      },
    )
  }
}

function adviceFor(error: unknown): string {
  switch (codeOf(error)) {
    case 'ERR_REQUIRE_CYCLE_MODULE':
      return 'name it .mts, or put "type": "module" into the package.json beside it'
    case 'ERR_MODULE_NOT_FOUND':
      return messageOf(error).includes("'tsx'") ? 'install tsx, or compile it to JavaScript' : 'correct the import'
    default:
      return 'correct it, or take it out'
  }
}

/** Also true for classes built against another copy of the package: kinds are declared, not inherited. */
function isNodeClass(value: unknown): value is NodeClass {
  if (typeof value !== 'function') return false
  const candidate = value as Partial<NodeClass>
  return value.prototype instanceof Node || (Boolean(candidate.identifier) && typeof candidate.kind === 'string')
}
