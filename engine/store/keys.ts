/**
 * The names of all Redis keys: one hash tag per workflow, so that every operation stays in one slot. Scripts get the
 * prefix and build the rest with the same short names (see scripts/prelude.ts); nothing outside `store/` names a key.
 *
 * meta HASH      schema, hash, run, run_no, seed, status, started_at, finished_at, nodes
 * desired HASH   what the workflow ('') and each loop shall be doing, as anybody may ask for
 * queues SET     names of queues that were ever declared or pushed to;  q:NAME LIST of entries
 * bells HASH     queue → loops that read it, by line;  limits HASH queue → most items;
 *                bell:LOOP LIST, the wake-up key;  full:NAME SET of replicas that wait for space
 * loops HASH     loop → hash, of the current definition;  yields HASH loop → until when nobody shall hold it (server's ms)
 * replicas SET   LOOP:N, of all definitions;  free:LOOP:N LIST, the wake-up key of those who wait for its lease;
 *                room:LOOP:N LIST, its own wake-up key while it waits for space
 *                r:LOOP:N HASH (holder, lease, seq, counters);  c:LOOP:N LIST of claims, "QUEUE\nENTRY"
 * state HASH (LOOP\tNODE → JSON), runtime, ended, delays HASH;  dl HASH and dlo LIST: dead letters and their order
 * pushed HASH, pushedo LIST: tokens of the latest pushes from outside;  batches HASH, batcheso LIST: of those of webhooks
 *
 * Of no workflow: oe:workflows SET of the prefixes of all that ever ran, oe:daemons HASH id → "SEEN|JSON",
 * oe:definitions HASH id → record (see scripts/define.ts).
 */
export const schemaVersion = 2

/** Every key of ours, as an ACL names them. */
export const keyPattern = 'oe:*'

export function workflowPrefix(workflowId: string): string {
  return `oe:{${encodeURIComponent(workflowId)}}:`
}

export function workflowOfPrefix(prefix: string): string {
  return decodeURIComponent(prefix.slice('oe:{'.length, -'}:'.length))
}

export const knownWorkflows = 'oe:workflows'
export const knownDaemons = 'oe:daemons'
/** What the script `define` gets as its prefix. */
export const sharedPrefix = 'oe:'
export const definitions = `${sharedPrefix}definitions`

/** The same for keys of the HTTP API; `define` names its hash. */
export const apiKeyPrefix = `${sharedPrefix}keys:`
export const apiKeys = `${apiKeyPrefix}definitions`

/** Of the script `spend`: who asked how often within the minute. */
export const ratePrefix = sharedPrefix

/** Development mode has a world of its own: `out` HASH (SESSION\tNODE → TIME\nJSON). */
export function devPrefix(workflowId: string): string {
  return `oe:dev:{${encodeURIComponent(workflowId)}}:`
}

export function keysOf(workflowId: string) {
  const prefix = workflowPrefix(workflowId)
  return {
    prefix,
    meta: `${prefix}meta`,
    desired: `${prefix}desired`,
    queues: `${prefix}queues`,
    bells: `${prefix}bells`,
    loops: `${prefix}loops`,
    replicas: `${prefix}replicas`,
    state: `${prefix}state`,
    runtime: `${prefix}runtime`,
    ended: `${prefix}ended`,
    deadLetters: `${prefix}dl`,
    deadLetterOrder: `${prefix}dlo`,
    queue: (name: string) => `${prefix}q:${name}`,
    bell: (loop: string) => `${prefix}bell:${loop}`,
    /** Wakes one of those who wait for this replica's lease. */
    free: (name: string) => `${prefix}free:${name}`,
    /** The replicas that wait for space in it. */
    full: (queue: string) => `${prefix}full:${queue}`,
    /** Wakes this replica when there is space again in the queue it waits for. */
    room: (name: string) => `${prefix}room:${name}`,
    replica: (name: string) => `${prefix}r:${name}`,
    claims: (name: string) => `${prefix}c:${name}`,
  }
}

/** The queue that a loop's requeued dead letters go to when they came from no queue; the loop serves it first. */
export function requeueQueue(loop: string): string {
  return `requeue_${loop}`
}

export function replicaName(loop: string, replica: number): string {
  return `${loop}:${replica}`
}

/** The field of a node's state: each loop has node instances of its own. */
export function stateField(loop: string, node: string): string {
  return `${loop}\t${node}`
}

export function nodeOfState(field: string): string {
  return field.slice(field.indexOf('\t') + 1)
}
