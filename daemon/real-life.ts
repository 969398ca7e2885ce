/**
 * One life of a real daemon, for `sim --real`: a process with the real engine, a real Redis and the real clock, whose
 * files and HTTP are asked of the process that started it, because these must outlive it when it is killed.
 */
import { EngineError, type ErrorCode } from '../engine/errors.ts'
import { FlowEngine } from '../engine/flow-engine.ts'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import type { JsonObject } from '../engine/json.ts'
import type { Files, Http, Ports } from '../engine/ports.ts'
import { connectRedis } from './redis.ts'
import { openRegistry } from './session.ts'
import { systemClock, systemHost, systemRandom } from './system-ports.ts'

export type LifeJob = { workflow: JsonObject; name: string; redis: string; nodes?: string }
export type OutsideOp = 'http' | 'read' | 'write'
/** What a life says: that it has begun, a question to the outside, or how it ended. */
export type LifeSays =
  | { begun: true }
  | { ask: number; op: OutsideOp; args: unknown[] }
  | { end: { status: string; error?: unknown } }
export type Answer = { answer: number; value?: unknown; error?: { code: string; message: string } }

type Waiting = { resolve: (value: never) => void; reject: (error: Error) => void }

const waiting = new Map<number, Waiting>()
let asked = 0

function ask<T>(op: OutsideOp, args: unknown[]): Promise<T> {
  const id = ++asked
  say({ ask: id, op, args })
  return new Promise<T>((resolve, reject) => waiting.set(id, { resolve, reject }))
}

function say(what: LifeSays): void {
  process.send?.(what)
}

function answered({ answer, value, error }: Answer): void {
  const asker = waiting.get(answer)
  waiting.delete(answer)
  if (error === undefined) asker?.resolve(value as never)
  else asker?.reject(new EngineError(error.code as ErrorCode, error.message))
}

const files: Files = { read: (...args) => ask('read', args), write: (...args) => ask('write', args) }
const http: Http = { request: ({ method, url, body }) => ask('http', [{ method, url, body }]) }

async function live({ workflow, name, redis: url, nodes }: LifeJob): Promise<void> {
  const registry = await openRegistry(nodes === undefined ? {} : { nodes })
  const redis = await connectRedis(url)
  const log = { write: () => undefined }
  const ports: Ports = { clock: systemClock(), random: systemRandom(), redis, host: systemHost(), http, files, log }
  const engine = new FlowEngine({
    graph: requireWorkflow(workflow, { registry, name }),
    ports,
    onEvent: () => undefined,
  })
  try {
    await engine.start({ mode: 'resume' })
    say({ begun: true })
    const { status, error } = await engine.done
    say({ end: { status, ...(error === undefined ? {} : { error: error.message }) } })
  } finally {
    await redis.close()
    process.disconnect()
  }
}

process.on('message', (message: { job: LifeJob } | Answer) => {
  if ('answer' in message) answered(message)
  else live(message.job).catch(error => say({ end: { status: 'failed', error: String(error) } }))
})
