/** `/ws/workflow/ID`: what a workflow does in this daemon, as it happens (spec 4.3). */
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import type { WebSocket } from 'ws'
import { z } from 'zod'
import { codeOf, messageOf } from '../engine/errors.ts'
import type { JsonObject } from '../engine/json.ts'
import { limits } from '../engine/limits.ts'
import { type ApiContext, param } from './api-context.ts'
import type { CatalogueEntry } from './catalogue.ts'
import { ApiError } from './http-errors.ts'
import { viewWorkflow } from './workflow-view.ts'

/** What a client may say. */
const said = z.object({ type: z.enum(['ping', 'request_state'], 'must be "ping" or "request_state"') })
const messageBytesMax = 4_096
/** Of the closing of a connection (RFC 6455): it asks for what there is not; it talks too much. */
const closing = { unknown: 4404, policy: 1008, failed: 1011 } as const
const messagesMost = 20
const perMs = 1_000

export function addWatchRoutes(app: FastifyInstance, context: ApiContext): void {
  // an upgrade that was refused has a socket that no server closes
  app.addHook('onResponse', async request => {
    if (request.headers.upgrade !== undefined) request.raw.socket.destroy()
  })
  app.register(websocket, { options: { maxPayload: messageBytesMax } })
  app.register(async scope => {
    scope.route({
      method: 'GET',
      url: '/ws/workflow/:id',
      handler: () => {
        throw new ApiError(
          400,
          'VALIDATION_ERROR',
          'Cannot answer here but over a WebSocket; connect with ws:// or wss://',
        )
      },
      wsHandler: (socket, request) => {
        const after = (request.query as { last_event_id?: string }).last_event_id
        void new Connection(socket, param(request, 'id'), context).open(after)
      },
    })
  })
}

class Connection {
  readonly #socket: WebSocket
  readonly #id: string
  readonly #context: ApiContext
  readonly #heard: number[] = []

  constructor(socket: WebSocket, id: string, context: ApiContext) {
    this.#socket = socket
    this.#id = id
    this.#context = context
  }

  /** The state first, then what has happened since `after`, then what happens. */
  async open(after: string | undefined): Promise<void> {
    const socket = this.#socket
    // without a listener an error of the connection would end the process
    socket.on('error', () => socket.terminate())
    socket.on('message', data => this.#hear(String(data)))
    if (!(await this.#tellState())) return
    const watcher = {
      get waiting() {
        return socket.bufferedAmount
      },
      send: (text: string) => socket.send(text),
    }
    socket.once('close', this.#context.watching.join(this.#id, watcher, after))
  }

  #hear(text: string): void {
    if (this.#talksTooMuch()) {
      this.#socket.close(closing.policy, `at most ${messagesMost} messages a second`)
      return
    }
    const { data } = said.safeParse(jsonOf(text))
    if (data === undefined) this.#refuse('Cannot read the message: send {"type": "ping"} or {"type": "request_state"}')
    else if (data.type === 'ping') this.#send({ type: 'pong', time: this.#context.ports.clock.now() })
    else void this.#tellState()
  }

  #talksTooMuch(): boolean {
    const now = this.#context.ports.clock.monotonic()
    this.#heard.push(now)
    return this.#heard.length > messagesMost && now - (this.#heard.shift() as number) < perMs
  }

  /** False when there is no such workflow, or Redis does not answer: then the connection is closed. */
  async #tellState(): Promise<boolean> {
    const { catalogue } = this.#context
    try {
      const entry = await catalogue.get(this.#id)
      this.#send(await stateOf(this.#context, entry))
      return true
    } catch (error) {
      const isUnknown = codeOf(error) === 'WORKFLOW_UNKNOWN'
      const told = isUnknown ? messageOf(error) : 'Cannot tell the state now; try again later'
      this.#refuse(told, isUnknown ? 'WORKFLOW_UNKNOWN' : 'REDIS_UNAVAILABLE')
      this.#socket.close(isUnknown ? closing.unknown : closing.failed)
      return false
    }
  }

  /** In the error shape of HTTP. */
  #refuse(error: string, code = 'VALIDATION_ERROR'): void {
    this.#send({ type: 'error', error, detail: error, error_code: code })
  }

  #send(message: JsonObject): void {
    this.#socket.send(JSON.stringify(message))
  }
}

/** What runs here, over all loops; the status is the workflow's, wherever it runs. */
async function stateOf(context: ApiContext, entry: CatalogueEntry): Promise<JsonObject> {
  const { runtime_state } = await viewWorkflow(context, entry)
  const here = context.status().find(({ workflow }) => workflow === entry.id)
  const loops = here?.loops ?? []
  const completed = loops.flatMap(({ id, completed_nodes }) => completed_nodes.map(node => ({ ...node, loop: id })))
  return {
    type: 'state_sync',
    workflow_id: entry.id,
    run: here?.run ?? null,
    status: here?.status ?? runtime_state,
    executing_nodes: loops.flatMap(({ executing_nodes }) => executing_nodes),
    completed_nodes: completed.slice(-limits.completedNodesMax),
    completed_count: loops.reduce((sum, { completed_count }) => sum + completed_count, 0),
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
