/**
 * A run of a workflow in Redis: beginning and resuming it, leasing its replicas, reading what it left. What changes while
 * a loop runs is in replica-store.ts.
 */
import { assert, EngineError } from '../errors.ts'
import type { FlowGraph } from '../graph/flow-graph.ts'
import type { HolderIdentity, Host, Redis } from '../ports.ts'
import { keysOf, nodeOfState, replicaName, requeueQueue, schemaVersion, stateField, workflowPrefix } from './keys.ts'
import { acquire, renew } from './scripts/leases.ts'
import { listArg } from './scripts/prelude.ts'
import { startRun } from './scripts/start-run.ts'
import type { LoopWish, RunStatus, Wish } from './wishes.ts'

export type StartMode = 'resume' | 'fresh' | 'adopt'
/** `wished` is how a daemon starts on its own: see scripts/start-run.ts. */
export type BeginMode = StartMode | 'wished'
/** Nobody wants it to run now: it is complete, or somebody asked for it to stop or pause. */
export type NotWished = { how: 'idle'; why: 'completed' | 'stop' | 'kill' | 'pause' }
export type StartedRun = { run: string; seed: string; how: 'new' | 'resumed' | 'adopted'; orphanedQueues: string[] }

/** Begins a run, or resumes the unfinished one. Errors: WORKFLOW_CHANGED, WORKFLOW_RUNNING, SCHEMA_TOO_NEW. */
export async function beginRun(
  redis: Redis,
  graph: FlowGraph,
  options: { mode: BeginMode; nonce: string; now: number; host: Host },
): Promise<StartedRun | NotWished> {
  const keys = keysOf(graph.workflow.id)
  for (;;) {
    const meta = await redis.hgetall(keys.meta)
    const { mode } = options
    const dropped = mode === 'adopt' ? await droppedState(redis, graph, meta.nodes) : []
    const takesOver = mode === 'adopt' || mode === 'fresh'
    const gone = takesOver ? await goneHolders(redis, graph.workflow.id, options.host) : []
    const answer = (await redis.call(
      startRun,
      [keys.prefix],
      [
        mode,
        options.nonce,
        options.nonce,
        String(options.now),
        meta.hash ?? '',
        ...listArg(dropped),
        ...listArg(gone),
        ...declarationOf(graph),
      ],
    )) as string
    const [word, run = '', seed = ''] = answer.split('\n')
    if (word === 'retry') continue
    if (word === 'idle') return { how: word, why: run as NotWished['why'] }
    if (word !== 'new' && word !== 'resumed' && word !== 'adopted')
      throw refusal(graph.workflow.id, word as string, run)
    return { run, seed, how: word, orphanedQueues: word === 'resumed' ? [] : await orphans(redis, graph) }
  }
}

/** Fields of node state that stand for a node which is gone, or of another type now. */
export async function droppedState(redis: Redis, graph: FlowGraph, nodes: string | undefined): Promise<string[]> {
  const before = parseNodes(nodes)
  const stays = (id: string) => graph.nodes.get(id)?.class.identifier === before[id]
  const fields = Object.keys(await redis.hgetall(keysOf(graph.workflow.id).state))
  return fields.filter(field => !stays(nodeOfState(field)))
}

/** Holders on this machine whose process is certainly dead: their leases keep nobody from starting. */
export async function goneHolders(redis: Redis, workflow: string, host: Host): Promise<string[]> {
  const keys = keysOf(workflow)
  const gone: string[] = []
  for (const name of await redis.smembers(keys.replicas)) {
    const { holder, boot = '', pid, start = '' } = await redis.hgetall(keys.replica(name))
    if (holder && host.isGone({ boot, pid: Number(pid), start })) gone.push(holder)
  }
  return gone
}

function refusal(workflow: string, word: string, detail: string): EngineError {
  const start = `Cannot start workflow "${workflow}"`
  if (word === 'changed') {
    const hint = 'finish it with the old definition, adopt it (--adopt) or discard it (--fresh)'
    return new EngineError(
      'WORKFLOW_CHANGED',
      `${start}: its unfinished run "${detail}" belongs to another definition; ${hint}`,
    )
  }
  if (word === 'running') {
    return new EngineError(
      'WORKFLOW_RUNNING',
      `${start}: replica "${detail}" is leased by a running process; stop that first`,
    )
  }
  assert(word === 'too-new', () => `start-run answers one of its words, not "${word}"`)
  const versions = `schema ${detail}, this version knows ${schemaVersion}`
  return new EngineError(
    'SCHEMA_TOO_NEW',
    `${start}: its keys were written by a newer version (${versions}); upgrade theoneeye`,
  )
}

/** As scripts/declare.ts reads it. */
export function declarationOf(graph: FlowGraph): string[] {
  return [
    String(schemaVersion),
    graph.hash,
    JSON.stringify(nodeTypes(graph)),
    ...listArg(graph.loops.flatMap(loop => [loop.id, loop.hash])),
    ...listArg(replicasOf(graph)),
    ...listArg(declaredQueues(graph)),
  ]
}

function nodeTypes(graph: FlowGraph): Record<string, string> {
  return Object.fromEntries([...graph.nodes].map(([id, node]) => [id, node.class.identifier]))
}

function parseNodes(text: string | undefined): Record<string, string> {
  return text === undefined ? {} : (JSON.parse(text) as Record<string, string>)
}

export function replicasOf(graph: FlowGraph): string[] {
  return graph.loops.flatMap(loop => Array.from({ length: loop.replicas }, (_, n) => replicaName(loop.id, n)))
}

/** Queue names with the loops to wake when something is pushed and the limit, as start-run wants them. */
function declaredQueues(graph: FlowGraph): string[] {
  const readers = new Map<string, string[]>(graph.queues.map(queue => [queue.name, []]))
  for (const loop of graph.loops) {
    readers.set(requeueQueue(loop.id), [loop.id])
    for (const source of loop.sources) readers.set(source, [...(readers.get(source) ?? []), loop.id])
  }
  const limit = new Map(graph.queues.map(queue => [queue.name, queue.maxLength]))
  return [...readers].flatMap(([queue, loops]) => [queue, loops.join('\n'), String(limit.get(queue) ?? 0)])
}

/** Queues that hold items and that this definition neither reads nor writes. */
async function orphans(redis: Redis, graph: FlowGraph): Promise<string[]> {
  const keys = keysOf(graph.workflow.id)
  const declared = new Set(declaredQueues(graph).filter((_, i) => i % 3 === 0))
  const orphaned: string[] = []
  for (const queue of (await redis.smembers(keys.queues)).sort()) {
    if (!declared.has(queue) && (await redis.llen(keys.queue(queue))) > 0) orphaned.push(queue)
  }
  return orphaned
}

export type AcquireAnswer =
  | { kind: 'acquired'; seq: number; iterations: number; returned: number; paused: boolean }
  | { kind: 'held'; holder: string; identity: HolderIdentity; leftMs: number }
  | { kind: 'ended'; run: 'running' | 'completed' }
  /** The replica is to be let go of, for so long, because its loop is being redefined. */
  | { kind: 'yield'; leftMs: number }
  /** Its loop is defined otherwise by now; `run` is over, or goes on. */
  | { kind: 'outdated'; run: 'running' | 'completed' }
  /** The run is another one. */
  | { kind: 'changed' }

export type LeaseRequest = {
  workflow: string
  loop: string
  replica: number
  holder: string
  token: string
  leaseMs: number
  identity: HolderIdentity
  /** A holder that is certainly dead: replaced at once. */
  gone: string
  /** Whether what it held may be to blame for its death (1.6). */
  blame: 'blame' | 'spare'
  /** The loop's. */
  hash: string
  run: { id: string; seed: string }
}

export async function acquireReplica(redis: Redis, request: LeaseRequest): Promise<AcquireAnswer> {
  const { identity } = request
  const answer = (await redis.call(
    acquire,
    [workflowPrefix(request.workflow)],
    [
      request.loop,
      String(request.replica),
      request.holder,
      request.token,
      String(request.leaseMs),
      identity.boot,
      String(identity.pid),
      identity.start,
      request.gone,
      request.blame,
      request.hash,
      request.run.id,
      request.run.seed,
    ],
  )) as string
  const [word, ...rest] = answer.split('\n')
  if (word === 'acquired')
    return {
      kind: word,
      seq: Number(rest[0]),
      iterations: Number(rest[1]),
      returned: Number(rest[2]),
      paused: rest[3] === 'pause',
    }
  if (word === 'ended' || word === 'outdated') return { kind: word, run: rest[0] as 'running' | 'completed' }
  if (word === 'yield') return { kind: word, leftMs: Number(rest[0]) }
  if (word === 'changed') return { kind: word }
  const [holder = '', boot = '', pid = '', start = '', left] = rest
  assert(word === 'held', () => `acquire answers one of its words, not "${word}"`)
  return { kind: 'held', holder, identity: { boot, pid: Number(pid), start }, leftMs: Number(left) }
}

export type RenewAnswer = {
  held: boolean[]
  loopWishes: LoopWish[]
  workflowWish: Wish
  runStatus: RunStatus
}

/** Renews leases; tells which are still held, and what workflow and loops shall be doing. */
export async function renewLeases(
  redis: Redis,
  workflow: string,
  leaseMs: number,
  leases: readonly { name: string; holder: string }[],
): Promise<RenewAnswer> {
  const args = [String(leaseMs), ...listArg(leases.flatMap(lease => [lease.name, lease.holder]))]
  const lines = ((await redis.call(renew, [workflowPrefix(workflow)], args)) as string).split('\n')
  const runStatus = (lines.pop() ?? '') as RunStatus
  const workflowWish = (lines.pop() ?? '') as Wish
  const loopWishes = lines.map(line => line.slice(1) as LoopWish)
  return { held: lines.map(line => line.startsWith('1')), loopWishes, workflowWish, runStatus }
}

/** The committed state of these nodes of a loop, as JSON text. A node that two loops reach has a state in each. */
export async function readState(
  redis: Redis,
  workflow: string,
  loop: string,
  nodes: readonly string[],
): Promise<Map<string, string>> {
  const state = new Map<string, string>()
  for (const node of nodes) {
    const text = await redis.hget(keysOf(workflow).state, stateField(loop, node))
    if (text !== null) state.set(node, text)
  }
  return state
}

/** The run in which a loop ended last. */
export async function runOfEnd(redis: Redis, workflow: string, loop: string): Promise<string | undefined> {
  return (await redis.hget(keysOf(workflow).ended, loop)) ?? undefined
}

/** Variables as JSON text, by name. */
export type RuntimeSnapshot = { version: string; variables: ReadonlyMap<string, string> }

/** The committed runtime variables, with the version that commits count up. */
export async function readRuntime(redis: Redis, workflow: string): Promise<RuntimeSnapshot> {
  const keys = keysOf(workflow)
  // version first: variables read later are at least that new, and a newer version is noticed at the next commit
  const version = (await redis.hget(keys.meta, 'runtime_version')) ?? '0'
  if (version === '0') return { version, variables: new Map() }
  return { version, variables: new Map(Object.entries(await redis.hgetall(keys.runtime))) }
}

export type LoopSummary = {
  iterations: number
  failed: number
  dead_letters: number
  items_in: number
  items_out: number
}
export type RunSummary = {
  workflow_id: string
  run: string
  status: 'running' | 'completed'
  /** epoch milliseconds */
  started_at: number
  finished_at: number | undefined
  loops: Record<string, LoopSummary>
}

/** What the whole run did so far, counted in Redis: over all replicas, processes and restarts. */
export async function readSummary(redis: Redis, graph: FlowGraph): Promise<RunSummary> {
  const keys = keysOf(graph.workflow.id)
  const meta = await redis.hgetall(keys.meta)
  const loops: Record<string, LoopSummary> = {}
  for (const loop of graph.loops) {
    const total: LoopSummary = { iterations: 0, failed: 0, dead_letters: 0, items_in: 0, items_out: 0 }
    for (let n = 0; n < loop.replicas; n++) {
      const fields = await redis.hgetall(keys.replica(replicaName(loop.id, n)))
      total.iterations += Number(fields.iterations ?? 0)
      total.failed += Number(fields.failed ?? 0)
      total.dead_letters += Number(fields.dead_letters ?? 0)
      total.items_in += Number(fields.claimed ?? 0)
      total.items_out += Number(fields.pushed ?? 0)
    }
    loops[loop.id] = total
  }
  return {
    workflow_id: graph.workflow.id,
    run: meta.run ?? '',
    status: meta.status === 'completed' ? 'completed' : 'running',
    started_at: Number(meta.started_at ?? 0),
    finished_at: meta.finished_at === undefined ? undefined : Number(meta.finished_at),
    loops,
  }
}
