/**
 * The data directory of the embedded Redis, held by one process at a time. A kernel lock would be simplest, but Node has
 * none; so a lock file names its holder, and a holder that is certainly dead is replaced.
 *
 * D1 the lock file appears whole (linked from a finished one), so that a reader never sees half of it. D2 taking over renames
 * the dead lock away first: of two that try at once, one moves the dead lock; the other finds a live one and puts it back.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { HolderIdentity, Host } from '../engine/ports.ts'

export type DataDirLock = { release(): void }

type Holder = HolderIdentity & { hostname: string }

const attemptsMax = 10
let serial = 0

/**
 * Makes the directory if it is missing and locks it.
 * Throws `JOURNAL_LOCKED`, naming the process that holds it, and `JOURNAL_FAILED` when it can't be written.
 */
export function lockDataDir(dir: string, host: Host): DataDirLock {
  const path = join(dir, 'lock')
  const mine = JSON.stringify({ ...host.identity(), hostname: hostname() } satisfies Holder)
  const scratch = join(dir, `lock.${process.pid}.${serial++}`)
  try {
    mkdirSync(dir, { recursive: true })
    writeFileSync(scratch, mine)
    try {
      acquire(path, scratch, host)
    } finally {
      rmSync(scratch, { force: true })
    }
  } catch (error) {
    throw error instanceof EngineError ? error : cannotWrite(dir, error)
  }
  return { release: () => release(path, mine) }
}

function acquire(path: string, scratch: string, host: Host): void {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (tryLink(scratch, path)) return
    const text = readIfThere(path)
    if (text === undefined) continue
    const holder = parseHolder(text)
    if (holder !== undefined && !isDead(holder, host)) throw locked(path, holder)
    removeDead(path, text, `${scratch}.dead`)
  }
  throw locked(path, undefined)
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Moves the lock away; if it is not the dead one any more, another process was faster, and gets it back. */
function removeDead(path: string, deadText: string, aside: string): void {
  try {
    renameSync(path, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  if (readFileSync(aside, 'utf8') !== deadText) tryLink(aside, path)
  rmSync(aside, { force: true })
}

function release(path: string, mine: string): void {
  if (readIfThere(path) === mine) rmSync(path, { force: true })
}

/** The same machine after a reboot, or a process of this boot that is gone. Another machine's holder is never judged. */
function isDead(holder: Holder, host: Host): boolean {
  if (host.isGone(holder)) return true
  return holder.hostname === hostname() && holder.boot !== host.identity().boot
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null
    const whole = typeof value?.pid === 'number' && typeof value.boot === 'string' && typeof value.start === 'string'
    return whole ? { hostname: '', ...(value as HolderIdentity) } : undefined
  } catch {
    return undefined
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function locked(path: string, holder: Holder | undefined): EngineError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid}${onOther(holder)}`
  return new EngineError(
    'JOURNAL_LOCKED',
    `Cannot use the data directory: ${who} holds "${path}"; stop it, choose another with --data, or remove the file if no such process exists`,
    { details: { path, pid: holder?.pid } },
  )
}

function onOther(holder: Holder): string {
  return holder.hostname === '' || holder.hostname === hostname() ? '' : ` on "${holder.hostname}"`
}

function cannotWrite(dir: string, error: unknown): EngineError {
  return new EngineError(
    'JOURNAL_FAILED',
    `Cannot use the data directory "${dir}": ${messageOf(error)}; make it writable or choose another with --data`,
    { cause: error },
  )
}
