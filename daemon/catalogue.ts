/**
 * All workflows as HTTP sees them: the files of the daemon's folder, which are authoritative and read-only here (in
 * development they are what is edited, and new ones become files), and the definitions in Redis, which anybody edits. Looked up anew for every request, so that no daemon goes on with what another
 * has changed; what did not change is not loaded again.
 *
 * W1 a file hides a definition of the same id. W2 a definition that was broken by an edit goes on as what it was last
 * (its problems are told), as a broken file does. W3 a change is written over the version it was made from, or not at all.
 */
import { EngineError } from '../engine/errors.ts'
import type { FlowGraph, Problem } from '../engine/graph/flow-graph.ts'
import { type HostSettings, loadWorkflow } from '../engine/graph/load-workflow.ts'
import { toShape } from '../engine/graph/shapes.ts'
import type { JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { Clock, Redis } from '../engine/ports.ts'
import {
  definitionsNumber,
  type Expected,
  listDefinitions,
  removeDefinition,
  type StoredDefinition,
  writeDefinition,
} from '../engine/store/definitions.ts'
import { toSource } from '../engine/trace/trace.ts'
import { type EditableFolder, newFileName, versionOfContent } from './editable-folder.ts'
import { ApiError } from './http-errors.ts'
import type { WorkflowFile } from './workflow-folder.ts'

export type CatalogueEntry = {
  id: string
  source: 'file' | 'redis'
  /** Its name in the folder. */
  file?: string
  /** A file that is not edited here. */
  readOnly: boolean
  /** In React-Flow shape, secrets included. */
  flow: JsonObject
  /** As it is stored. */
  stored: JsonObject
  /** What runs, or would; undefined when it never was sound here. */
  graph: FlowGraph | undefined
  /** Of the definition as it stands. */
  problems: readonly (Problem | string)[]
  active: boolean
  /** 0 for a file, unless it is edited here: then another one for another content. */
  version: number
  /** Epoch milliseconds; null for a file. */
  createdAt: number | null
  updatedAt: number | null
}

export type CatalogueOptions = {
  redis: Redis
  clock: Clock
  registry: NodeRegistry
  host?: HostSettings
  /** The folder as it is now; where a file is broken, `graph` is what goes on in its place. */
  files: () => readonly WorkflowFile[]
  /** Where edits of files go, and new workflows; without it files are read-only, and new ones live in Redis. */
  folder?: EditableFolder
  /** Told after a definition has changed here. */
  onChange?: () => void
}

/** Changes that came in between are read, and the edit is made again, so often. */
const editAttemptsMax = 5

export class Catalogue {
  readonly #options: CatalogueOptions
  #number: string | undefined
  #stored: ReadonlyMap<string, CatalogueEntry> = new Map()
  /** With what they were made of: every request asks for all of them, and they hardly ever change. */
  #ofFiles: readonly { of: WorkflowFile; entry: CatalogueEntry }[] = []
  #refreshing: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(options: CatalogueOptions) {
    this.#options = options
  }

  /** Files first, then definitions, each by id. Rejects with a `REDIS_…` error. */
  async list(): Promise<CatalogueEntry[]> {
    await this.#refresh()
    const files = this.#files()
    const taken = new Set(files.map(({ id }) => id))
    return [...files, ...[...this.#stored.values()].filter(({ id }) => !taken.has(id))]
  }

  /** Rejects with WORKFLOW_UNKNOWN or a `REDIS_…` error. */
  async get(id: string): Promise<CatalogueEntry> {
    const entry = (await this.list()).find(each => each.id === id)
    if (entry === undefined) throw new EngineError('WORKFLOW_UNKNOWN', `Cannot find workflow "${id}"`)
    return entry
  }

  /** What shall run, or may be asked: the sound graphs of all workflows that are not deactivated. */
  async graphs(): Promise<FlowGraph[]> {
    const entries = await this.list()
    return entries.flatMap(({ active, graph }) => (active && graph !== undefined ? [graph] : []))
  }

  /** Rejects with VERSION_CONFLICT when a workflow has this id. */
  async requireFree(id: string): Promise<void> {
    if (!(await this.list()).some(entry => entry.id === id)) return
    throw new EngineError('VERSION_CONFLICT', `Cannot create workflow "${id}": there is one already; choose another id`)
  }

  /** Keeps a new definition. Rejects with VERSION_CONFLICT when a workflow has this id. */
  async create(id: string, file: JsonObject, active: boolean): Promise<CatalogueEntry> {
    await this.requireFree(id)
    const { folder, files } = this.#options
    if (folder === undefined) await this.#write(id, { file, active }, 'new')
    else await folder.write(newFileName(id, new Set(files().map(each => each.file))), file)
    return await this.get(id)
  }

  /**
   * Changes a definition: `edit` gets it as it is (file in its own shape) and gives it as it shall be. Without `expected`
   * it is called again when somebody else was faster. Errors: READ_ONLY, VERSION_CONFLICT, WORKFLOW_UNKNOWN.
   */
  async update(
    id: string,
    edit: (entry: CatalogueEntry) => { file?: JsonObject; active?: boolean },
    expected: number | 'any' = 'any',
  ): Promise<CatalogueEntry> {
    for (let attempt = 1; ; attempt++) {
      const entry = await this.get(id)
      if (entry.source === 'file') return await this.#updateFile(entry, edit(entry), expected)
      const { file = entry.stored, active = entry.active } = edit(entry)
      try {
        await this.#write(id, { file, active }, expected === 'any' ? entry.version : expected)
        return await this.get(id)
      } catch (error) {
        const isRace = error instanceof EngineError && error.code === 'VERSION_CONFLICT' && expected === 'any'
        if (!isRace || attempt >= editAttemptsMax) throw error
      }
    }
  }

  /** Errors: READ_ONLY, VERSION_CONFLICT, WORKFLOW_UNKNOWN. */
  async remove(id: string, expected: Expected = 'any'): Promise<void> {
    const entry = await this.get(id)
    if (entry.source === 'file') return await this.#writable(entry, expected).folder.remove(entry.file as string)
    await removeDefinition(this.#options.redis, id, { expected, now: this.#options.clock.now() })
    this.#options.onChange?.()
  }

  async #updateFile(
    entry: CatalogueEntry,
    { file = entry.stored, active = true }: { file?: JsonObject; active?: boolean },
    expected: Expected,
  ): Promise<CatalogueEntry> {
    const { folder, name } = this.#writable(entry, expected)
    if (!active) throw readOnly(entry, 'it has nowhere to say that it is inactive; take it out of the folder')
    await folder.write(name, file)
    return await this.get(entry.id)
  }

  #writable(entry: CatalogueEntry, expected: Expected): { folder: EditableFolder; name: string } {
    const { folder } = this.#options
    if (folder === undefined) throw readOnly(entry, 'change the file, or duplicate the workflow and change the copy')
    if (entry.readOnly) throw readOnly(entry, 'what is in it now is no JSON; correct it there first')
    if (expected === 'any' || expected === entry.version) return { folder, name: entry.file as string }
    throw new EngineError(
      'VERSION_CONFLICT',
      `Cannot change workflow "${entry.id}": its file has changed since; read it again`,
    )
  }

  async #write(id: string, body: { file: JsonObject; active: boolean }, expected: Expected): Promise<void> {
    const { redis, clock, onChange } = this.#options
    await writeDefinition(redis, id, { ...body, about: {} }, { expected, now: clock.now() })
    onChange?.()
  }

  #files(): CatalogueEntry[] {
    const { files, folder } = this.#options
    const before = this.#ofFiles
    this.#ofFiles = files().map((of, i) => {
      const known = before[i]
      return known !== undefined && isSameFile(known.of, of) ? known : { of, entry: fileEntry(of, folder) }
    })
    return this.#ofFiles.map(({ entry }) => entry)
  }

  /** Everybody who comes while one look at Redis is under way shares the next one: none sees what was before it asked. */
  async #refresh(): Promise<void> {
    if (this.#refreshing === undefined) {
      this.#refreshing = this.#look().finally(() => {
        this.#refreshing = undefined
      })
      return await this.#refreshing
    }
    this.#next ??= this.#refreshing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.#refresh()
      })
    return await this.#next
  }

  async #look(): Promise<void> {
    const { redis } = this.#options
    const number = await definitionsNumber(redis)
    if (number === this.#number) return
    const definitions = await listDefinitions(redis)
    const before = this.#stored
    this.#stored = new Map(definitions.map(each => [each.id, this.#load(each, before.get(each.id))]))
    this.#number = number
  }

  #load(definition: StoredDefinition, before: CatalogueEntry | undefined): CatalogueEntry {
    const { id, version, createdAt, updatedAt, file, active } = definition
    if (before?.version === version && before.updatedAt === updatedAt) return before
    const { registry, host } = this.#options
    const { graph, problems } = loadWorkflow(
      { ...file, id },
      { registry, name: id, ...(host === undefined ? {} : { host }) },
    )
    return {
      ...{ id, version, createdAt, updatedAt, active, problems, source: 'redis', readOnly: false, stored: file },
      flow: toShape({ ...file, id }, 'react-flow'),
      graph: graph ?? before?.graph,
    }
  }
}

function isSameFile(a: WorkflowFile, b: WorkflowFile): boolean {
  return a.file === b.file && a.json === b.json && a.graph === b.graph && a.problems === b.problems
}

/** Where the text is no JSON at all, what it was before is shown, and never written over it. */
function fileEntry({ file, json, graph, problems }: WorkflowFile, folder: EditableFolder | undefined): CatalogueEntry {
  const stored = json ?? (graph === undefined ? {} : toSource(graph.workflow))
  return {
    ...{ id: graph?.workflow.id ?? idOf(file, stored), source: 'file', file, active: true },
    readOnly: folder === undefined || json === undefined,
    version: folder === undefined ? 0 : versionOfContent(stored),
    ...{ flow: toShape(stored, 'react-flow'), stored, graph, problems, createdAt: null, updatedAt: null },
  }
}

function readOnly({ id }: CatalogueEntry, advice: string): ApiError {
  return new ApiError(409, 'READ_ONLY', `Cannot change workflow "${id}": a file of the daemon defines it; ${advice}`)
}

/** Of a file that never was sound. */
function idOf(file: string, { id }: JsonObject): string {
  return typeof id === 'string' && id !== '' ? id : file.replace(/\.json$/i, '')
}
