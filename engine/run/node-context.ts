/**
 * A node's view of the world during one iteration: ports narrowed to what a node may use, draws and ids that repeat when
 * the item is processed again, and a guard that ends all of it with the iteration.
 *
 * C1 after the iteration every member throws ITERATION_ENDED. C2 draws, ids and idempotency keys depend on the item's key
 * and the node's place alone, never on time or attempt.
 */
import { EngineError } from '../errors.ts'
import { hashText, hashUnit } from '../hash.ts'
import type { Json, JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import type { HttpCall, NodeContext, Response, RuntimeVariables } from '../node/context.ts'
import type { LogLevel } from '../ports.ts'
import { withoutSecrets } from '../trace/redact.ts'
import type { Answers, Operation } from '../trace/witness.ts'
import { secretTexts } from './hide-secrets.ts'
import type { Iteration } from './iteration.ts'
import type { NodeRun } from './node-run.ts'

type Told = { message: string; fields: JsonObject }

export class RunningContext implements NodeContext {
  readonly #form: JsonObject
  readonly #iteration: Iteration
  readonly #run: NodeRun
  #draws = 0
  #ids = 0
  #delays = 0

  constructor(iteration: Iteration, run: NodeRun, form: JsonObject) {
    this.#form = form
    this.#iteration = iteration
    this.#run = run
  }

  get form(): JsonObject {
    return this.#open() && this.#form
  }

  get workflow() {
    const { graph, run } = this.#open().scope
    return { id: graph.workflow.id, run: run.id, env: graph.workflow.env }
  }

  get iteration() {
    const { scope, number } = this.#open()
    return { loop: scope.loop.id, iteration: number, run: scope.run.id }
  }

  get signal(): AbortSignal {
    return this.#open().signal
  }

  get idempotencyKey(): string {
    return hashText(`${this.#open().scope.graph.workflow.id}|${this.#drawKey('effect')}`)
  }

  get clock() {
    return {
      now: () => this.#now(),
      sleep: (ms: number) => this.#sleep(ms),
    }
  }

  get random() {
    return { next: () => hashUnit(`${this.#open() && this.#drawKey('random')}|${this.#draws++}`) }
  }

  get ids() {
    return { next: () => hashText(`${this.#open() && this.#drawKey('id')}|${this.#ids++}`) }
  }

  get http() {
    return {
      request: ({ headers = {}, timeoutMs = limits.nodeTimeoutMs, ...call }: HttpCall) => {
        const { scope, signal } = this.#touchOutside()
        const { method, url, body = null } = call
        return this.#call('http', { method, url, body }, () =>
          scope.ports.http.request({ ...call, headers, timeoutMs, signal }),
        )
      },
    }
  }

  get files() {
    return {
      read: (path: string, offset: number, bytesMax: number) => {
        const { files } = this.#open().scope.ports
        return this.#call('read', { path, offset, bytesMax }, () => files.read(path, offset, bytesMax))
      },
      write: (path: string, content: string, mode: 'w' | 'a') => {
        const { files } = this.#touchOutside().scope.ports
        return this.#call('write', { path, content, mode }, () => files.write(path, content, mode))
      },
    }
  }

  get state() {
    const node = this.#run.node.id
    return {
      get: () => this.#open().effects.getState(node),
      set: (value: Json) => this.#open().effects.setState(node, value),
    }
  }

  get runtime(): RuntimeVariables {
    const variables = () => this.#open().effects.variables
    return {
      get: key => variables().get(key),
      set: (key, value) => variables().set(key, value),
      delete: key => variables().delete(key),
    }
  }

  get respond() {
    return (response: Response) => this.#open().effects.respond(response, this.#run.node.id)
  }

  get log() {
    const write =
      (level: LogLevel) =>
      (message: string, fields: JsonObject = {}) => {
        const { scope, number } = this.#open()
        const where = { workflow: scope.graph.workflow.id, run: scope.run.id, loop: scope.loop.id, iteration: number }
        const secrets = secretTexts({ ...this.#run, env: scope.graph.workflow.env })
        const told = withoutSecrets({ message, fields }, secrets) as Told
        scope.ports.log.write(level, told.message, { ...where, node: this.#run.node.id, ...told.fields })
      }
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  }

  async delay(ms: number): Promise<void> {
    const iteration = this.#open()
    const field = `${iteration.key}\t${this.#run.place}\t${this.#delays++}`
    iteration.effects.delays.push(field)
    const wakeAt = this.#now() + Math.max(0, ms)
    const until = await this.#call('delay', { ms }, () => iteration.scope.delayUntil(field, wakeAt))
    await this.#sleep(until - this.#now())
  }

  #now(): number {
    const { scope, witness } = this.#open()
    const { clock } = scope.ports
    return witness === undefined ? clock.now() : witness.now(this.#run.place, () => clock.now())
  }

  #sleep(ms: number): Promise<void> {
    const iteration = this.#open()
    return this.#call('sleep', { ms }, () => sleepLong(iteration, ms))
  }

  /** Asks the outside; through the witness, where there is one. */
  #call<O extends Operation>(op: O, ask: JsonObject, live: () => Promise<Answers[O]>): Promise<Answers[O]> {
    const { witness } = this.#open()
    return witness === undefined ? live() : witness.call({ at: this.#run.place, op, ask }, live)
  }

  #drawKey(kind: string): string {
    return `${this.#iteration.key}|${this.#run.place}|${kind}`
  }

  #open(): Iteration {
    if (this.#iteration.ended) {
      const node = this.#run.node.id
      throw new EngineError(
        'ITERATION_ENDED',
        `Cannot use the context of node "${node}": its iteration has ended; await all work in execute`,
      )
    }
    return this.#iteration
  }

  #touchOutside(): Iteration {
    const iteration = this.#open()
    iteration.touchedOutside = true
    return iteration
  }
}

/** Sleeps by the clock, in slices that a host timer can hold. */
async function sleepLong({ scope, signal }: Iteration, ms: number): Promise<void> {
  for (let rest = ms; rest > 0; rest -= limits.timerMsMax) {
    await scope.ports.clock.sleep(Math.min(rest, limits.timerMsMax), signal)
  }
}
