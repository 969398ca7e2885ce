/**
 * A node's context without an engine: what a node did is in plain fields, what the world answers is given. It renders
 * the form through `compileForm`, so that the tables of node tests read as workflow files do.
 */
import { EngineError } from '../../engine/errors.ts'
import type { Json, JsonObject } from '../../engine/json.ts'
import type { HttpCall, NodeContext, Response, RuntimeVariables } from '../../engine/node/context.ts'
import { compileForm } from '../../engine/node/form.ts'
import type { Node, NodeClass, NodeOutput, NodeResult } from '../../engine/node/node.ts'
import type { HttpResponse, LogLevel } from '../../engine/ports.ts'

export type World = {
  now?: number
  env?: JsonObject
  files?: Record<string, string | Uint8Array>
  http?: (call: HttpCall) => HttpResponse | Error
  draws?: number[]
}

/** One node with everything around it. `state` outlives instances, as in a run; `restart` makes a new instance. */
export class NodeBench {
  readonly nodeClass: NodeClass
  readonly form: JsonObject
  state: Json | undefined
  now: number
  readonly files: Map<string, Uint8Array>
  readonly logs: { level: LogLevel; message: string; fields: JsonObject }[] = []
  readonly calls: HttpCall[] = []
  readonly delays: number[] = []
  readonly responses: Response[] = []
  readonly runtime = new Map<string, Json>()
  fileReads = 0
  readonly #world: World
  readonly #compiled: ReturnType<typeof compileForm>['form']
  readonly #abort = new AbortController()
  #draws = 0
  #node: Node | undefined

  constructor(nodeClass: NodeClass, form: JsonObject, world: World = {}) {
    this.nodeClass = nodeClass
    this.form = form
    this.#world = world
    this.now = world.now ?? 0
    this.files = new Map(Object.entries(world.files ?? {}).map(([path, content]) => [path, bytesOf(content)]))
    const { form: compiled, problems } = compileForm(nodeClass.form, form, { strict: false })
    if (problems.length > 0) throw new Error(`the form of this test is not valid: ${JSON.stringify(problems)}`)
    this.#compiled = compiled
  }

  /** Runs the node on one item. The input is frozen: a node that changes it fails the test. */
  async run(data: JsonObject = {}): Promise<NodeResult> {
    const input: NodeOutput = freeze({ id: 'item-1', data, metadata: {} })
    this.#node ??= new this.nodeClass({ id: 'n1', type: this.nodeClass.identifier, config: {} })
    const scope = { data, workflowenv: this.#world.env ?? {}, runtime: this.#variables(), iteration: {} }
    const form = this.#compiled.render(scope, 'n1')
    return await this.#node.execute(input, this.#context(form))
  }

  restart(): void {
    this.#node = undefined
  }

  abort(): void {
    this.#abort.abort(new EngineError('ITERATION_ABORTED', 'another node failed'))
  }

  text(path: string): string | undefined {
    const bytes = this.files.get(path)
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
  }

  #context(form: JsonObject): NodeContext {
    const note =
      (level: LogLevel) =>
      (message: string, fields: JsonObject = {}) => {
        this.logs.push({ level, message, fields })
      }
    return {
      form,
      workflow: { id: 'w', run: 'r', env: this.#world.env ?? {} },
      iteration: { loop: 'n1', iteration: 1, run: 'r' },
      clock: { now: () => this.now, sleep: async () => {} },
      random: { next: () => this.#draw() },
      ids: { next: () => 'id' },
      http: { request: async call => this.#answer(call) },
      files: {
        read: async (path, offset, bytesMax) => this.#read(path, offset, bytesMax),
        write: async (path, content, mode) => {
          const before = mode === 'a' ? (this.text(path) ?? '') : ''
          this.files.set(path, bytesOf(before + content))
        },
      },
      state: {
        get: () => this.state,
        set: value => {
          this.state = JSON.parse(JSON.stringify(value)) as Json
        },
      },
      runtime: this.#variables(),
      respond: response => void this.responses.push(response),
      log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
      signal: this.#abort.signal,
      idempotencyKey: 'key-1',
      delay: async ms => {
        this.delays.push(ms)
      },
    }
  }

  #variables(): RuntimeVariables {
    return {
      get: key => this.runtime.get(key),
      set: (key, value) => {
        this.runtime.set(key, value)
      },
      delete: key => {
        this.runtime.delete(key)
      },
    }
  }

  #draw(): number {
    const draws = this.#world.draws ?? [0.5]
    return draws[this.#draws++ % draws.length] as number
  }

  #answer(call: HttpCall): HttpResponse {
    this.calls.push(call)
    const answer = this.#world.http?.(call) ?? { status: 200, headers: {}, body: '' }
    if (answer instanceof Error) throw answer
    return answer
  }

  #read(path: string, offset: number, bytesMax: number): Uint8Array {
    this.fileReads += 1
    const bytes = this.files.get(path)
    if (bytes === undefined) throw new EngineError('FILE_FAILED', `Cannot read "${path}": there is no such file`)
    return bytes.slice(offset, offset + bytesMax)
  }
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) freeze(child)
    Object.freeze(value)
  }
  return value
}
