/**
 * What runs where, read from Redis alone (spec 4.1 `ps`): workflows with their replicas and who holds them, and the
 * daemons that gave a sign of life. Times that are left are by the server's clock, which leases are made of.
 */
import { editDistance } from '../edit-distance.ts'
import { EngineError } from '../errors.ts'
import type { HolderIdentity, Redis } from '../ports.ts'
import { keysOf, knownDaemons, knownWorkflows, workflowOfPrefix } from './keys.ts'
import { time } from './scripts/attend.ts'
import type { Wish } from './wishes.ts'

export type DaemonProcess = HolderIdentity & {
  id: string
  host: string
  version: string
  /** epoch milliseconds */
  since: number
  /** How many it was given to serve. */
  workflows: number
  /** Seconds since its last sign of life. */
  seen: number
}
/** Null: nobody holds it. `host` is null for a process that is no daemon, such as `run`. */
export type ReplicaHolder = { host: string | null; pid: number } | null
export type ReplicaProcess = {
  replica: number
  holder: ReplicaHolder
  /** Seconds. */
  lease_left: number
  iterations: number
  failed: number
}
export type LoopProcess = { id: string; wish: string; replicas: ReplicaProcess[] }
export type WorkflowProcess = {
  workflow_id: string
  /** '' when it never ran. */
  run: string
  /** `idle`: it may run, and nobody is there who runs it. */
  status: 'idle' | 'running' | 'paused' | 'draining' | 'completed' | 'stopped'
  /** What somebody asked for and holds: pause, stop, kill, start, or ''. */
  wish: string
  started_at: number | null
  finished_at: number | null
  loops: LoopProcess[]
}

/** The daemons of the last seconds, the oldest first. */
export async function listDaemons(redis: Redis): Promise<DaemonProcess[]> {
  const nowMs = await serverTime(redis)
  const daemons = Object.entries(await redis.hgetall(knownDaemons)).map(([id, value]) => {
    const cut = value.indexOf('|')
    const about = JSON.parse(value.slice(cut + 1)) as Omit<DaemonProcess, 'id' | 'seen'>
    return { id, ...about, seen: Math.max(0, nowMs - Number(value.slice(0, cut))) / 1000 }
  })
  return daemons.sort((a, b) => a.since - b.since)
}

/** The ids of all workflows that ever ran on this Redis, sorted. */
export async function knownWorkflowIds(redis: Redis): Promise<string[]> {
  return (await redis.smembers(knownWorkflows)).map(workflowOfPrefix).sort()
}

/** WORKFLOW_UNKNOWN names the nearest one there is. */
export async function requireKnownWorkflow(redis: Redis, workflow: string): Promise<void> {
  const known = await knownWorkflowIds(redis)
  if (known.includes(workflow)) return
  const there = known.length === 0 ? 'none ever ran here' : nearest(workflow, known)
  throw new EngineError('WORKFLOW_UNKNOWN', `Cannot find workflow "${workflow}" on this Redis: ${there}`)
}

/** LOOP_UNKNOWN names the nearest one there is. */
export async function requireKnownLoop(redis: Redis, workflow: string, loop: string): Promise<void> {
  const known = [...new Set((await redis.smembers(keysOf(workflow).replicas)).map(name => partsOf(name).loop))].sort()
  if (known.includes(loop)) return
  throw new EngineError('LOOP_UNKNOWN', `Cannot find loop "${loop}" of workflow "${workflow}": ${nearest(loop, known)}`)
}

function nearest(name: string, known: readonly string[]): string {
  const near = known.filter(each => editDistance(name, each) <= Math.max(1, name.length / 3))
  const shown = near.length > 0 ? near : known
  const list = shown.slice(0, 10).map(each => `"${each}"`)
  if (near.length > 0) return `did you mean ${list.join(' or ')}?`
  return `there is ${list.join(', ')}${shown.length > 10 ? `, and ${shown.length - 10} more` : ''}`
}

/** One workflow as it stands in Redis now. */
export async function describeWorkflow(
  redis: Redis,
  workflow: string,
  daemons: readonly DaemonProcess[],
): Promise<WorkflowProcess> {
  const keys = keysOf(workflow)
  const [nowMs, meta, wishes, names] = await Promise.all([
    serverTime(redis),
    redis.hgetall(keys.meta),
    redis.hgetall(keys.desired),
    redis.smembers(keys.replicas),
  ])
  const loops = new Map<string, LoopProcess>()
  for (const name of names.sort()) {
    const { loop, replica } = partsOf(name)
    const known = loops.get(loop) ?? { id: loop, wish: shownWish(wishes[loop]), replicas: [] }
    loops.set(loop, known)
    known.replicas.push({ replica, ...replicaOf(await redis.hgetall(keys.replica(name)), nowMs, daemons) })
  }
  const isHeld = [...loops.values()].some(loop => loop.replicas.some(({ holder }) => holder !== null))
  return {
    workflow_id: workflow,
    run: meta.run ?? '',
    status: statusOf(meta.status, wishes[''] as Wish | undefined, isHeld),
    wish: shownWish(wishes['']),
    started_at: meta.started_at === undefined ? null : Number(meta.started_at),
    finished_at: meta.finished_at === undefined ? null : Number(meta.finished_at),
    loops: [...loops.values()],
  }
}

function statusOf(status: string | undefined, wish: Wish | undefined, isHeld: boolean): WorkflowProcess['status'] {
  if (status === 'completed') return 'completed'
  if (wish === 'stop' || wish === 'kill') return isHeld ? 'draining' : 'stopped'
  if (wish === 'pause') return 'paused'
  return isHeld ? 'running' : 'idle'
}

function shownWish(wish: string | undefined): string {
  if (wish?.startsWith('try:')) return ''
  return wish?.startsWith('run:') ? 'start' : (wish ?? '')
}

function replicaOf(
  fields: Record<string, string>,
  nowMs: number,
  daemons: readonly DaemonProcess[],
): Omit<ReplicaProcess, 'replica'> {
  const { holder = '', boot, pid, start, lease_until = '0', iterations = '0', failed = '0' } = fields
  const leftMs = Math.max(0, Number(lease_until) - nowMs)
  const daemon = daemons.find(each => each.boot === boot && each.pid === Number(pid) && each.start === start)
  const isHeld = holder !== '' && leftMs > 0
  return {
    holder: isHeld ? { host: daemon?.host ?? null, pid: Number(pid) } : null,
    lease_left: isHeld ? leftMs / 1000 : 0,
    iterations: Number(iterations),
    failed: Number(failed),
  }
}

async function serverTime(redis: Redis): Promise<number> {
  return Number(await redis.call(time, [], []))
}

function partsOf(name: string): { loop: string; replica: number } {
  const cut = name.lastIndexOf(':')
  return { loop: name.slice(0, cut), replica: Number(name.slice(cut + 1)) }
}
