/** The whole HTTP API of spec 4.3, put together: what its routes need, and the routes. */

import { EngineError } from '../engine/errors.ts'
import type { WorkflowStatus } from '../engine/flow-daemon.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { HostSettings } from '../engine/graph/load-workflow.ts'
import { limits } from '../engine/limits.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { Ports } from '../engine/ports.ts'
import { ApiRequests } from '../engine/run/api-requests.ts'
import { DevRunner } from '../engine/run/dev-runner.ts'
import { WebhookIntake } from '../engine/run/webhook-intake.ts'
import type { EventSink } from '../engine/trace/events.ts'
import type { RecordOf } from '../engine/trace/trace.ts'
import type { ApiContext } from './api-context.ts'
import { Catalogue } from './catalogue.ts'
import type { EditableFolder } from './editable-folder.ts'
import { addDeadLetterRoutes } from './routes-dead-letters.ts'
import { addDevRoutes } from './routes-dev.ts'
import { addDocsRoutes } from './routes-docs.ts'
import { addEditingRoutes } from './routes-editing.ts'
import { type AccessPolicy, guardRoutes } from './routes-guard.ts'
import { addLifecycleRoutes } from './routes-lifecycle.ts'
import { addNodeRoutes } from './routes-nodes.ts'
import { addRequestRoutes } from './routes-requests.ts'
import { addWatchRoutes } from './routes-watch.ts'
import { addWebhookRoutes } from './routes-webhooks.ts'
import { addWorkflowRoutes } from './routes-workflows.ts'
import type { Routes } from './server.ts'
import { Watching } from './watching.ts'
import type { WorkflowFile } from './workflow-folder.ts'

export type ApiOptions = {
  registry: NodeRegistry
  ports: Ports
  onEvent: EventSink
  recordOf?: RecordOf | undefined
  host?: HostSettings
  access: AccessPolicy
  files: () => readonly WorkflowFile[]
  status: () => readonly WorkflowStatus[]
  /** Where edits of files go: in development. */
  folder?: EditableFolder
  /** Told after a definition in Redis has changed here. */
  onChange?: () => void
}

/** The API of one daemon. */
export class Api {
  readonly catalogue: Catalogue
  /** To be added before all others: they are guarded too. */
  readonly routes: Routes
  /** Is to see every event. */
  readonly watching: Watching
  readonly #context: ApiContext
  readonly #ending = new AbortController()
  #isDraining = false

  constructor(options: ApiOptions) {
    const { registry, ports, onEvent, recordOf, host, access, files, folder, status, onChange } = options
    const { redis, clock, random } = ports
    this.catalogue = new Catalogue({
      ...{ redis, clock, registry, files },
      ...(host === undefined ? {} : { host }),
      ...(folder === undefined ? {} : { folder }),
      ...(onChange === undefined ? {} : { onChange }),
    })
    this.watching = new Watching(clock, random.nonce('watching').slice(0, 8), this.#ending.signal)
    this.#context = {
      ...{ registry, ports, status, catalogue: this.catalogue },
      dev: new DevRunner({ registry, ports }),
      intake: new WebhookIntake({ redis, clock, random, patienceMs: limits.webhookPatienceMs }),
      requests: new ApiRequests({ ports, onEvent, recordOf }),
      watching: this.watching,
      isDraining: () => this.#isDraining,
      ending: this.#ending.signal,
    }
    this.routes = app => {
      guardRoutes(app, ports, access)
      for (const add of allRoutes) add(app, this.#context)
    }
  }

  /** What of Redis shall run. Rejects with a `REDIS_…` error. */
  async definitions(): Promise<FlowGraph[]> {
    const entries = await this.catalogue.list()
    return entries.flatMap(({ source, active, graph }) =>
      source === 'redis' && active && graph?.workflow.type === 'production' ? [graph] : [],
    )
  }

  /** Begins nothing new; resolves when what is under way has ended, which is aborted after `drainMs`. */
  async drain(drainMs: number): Promise<void> {
    const { ports, requests, dev } = this.#context
    this.#isDraining = true
    const drained = new AbortController()
    ports.clock.sleep(drainMs, drained.signal).then(
      () => this.#end(),
      () => undefined,
    )
    await Promise.all([requests.drain(drainMs), dev.close()])
    drained.abort()
  }

  /** Waits for nothing. */
  kill(): void {
    this.#isDraining = true
    this.#end()
  }

  #end(): void {
    this.#context.requests.abort()
    this.#ending.abort(new EngineError('ITERATION_ABORTED', 'The request was given up: the daemon stops'))
  }
}

const allRoutes = [
  addNodeRoutes,
  addWorkflowRoutes,
  addEditingRoutes,
  addLifecycleRoutes,
  addDevRoutes,
  addRequestRoutes,
  addWebhookRoutes,
  addDeadLetterRoutes,
  addWatchRoutes,
  addDocsRoutes,
]
