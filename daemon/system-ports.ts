/**
 * The host as the engine sees it: time, chance, processes, logs; HTTP and files stand beside it in files of their own.
 * Nothing here decides anything. What can't be known for certain (is that process dead?) is answered with no.
 */
import { getRandomValues, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { pino } from 'pino'
import { assert, codeOf } from '../engine/errors.ts'
import { limits } from '../engine/limits.ts'
import type { Clock, HolderIdentity, Host, Log, LogLevel, Random } from '../engine/ports.ts'

export { systemFiles } from './system-files.ts'
export { systemHttp } from './system-http.ts'

const untilSliceMs = 5_000

/** A sleep keeps the process alive; its timer goes when it is aborted. */
export function systemClock(): Clock {
  return { now: () => Date.now(), monotonic: () => performance.now(), sleep, until }
}

/** Timers do not know of a wall clock that was set: so they are short. */
async function until(epochMs: number, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const leftMs = epochMs - Date.now()
    if (leftMs <= 0) return signal?.throwIfAborted()
    await sleep(Math.min(leftMs, untilSliceMs), signal)
  }
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  assert(ms <= limits.timerMsMax, () => `a sleep of ${ms} ms is longer than a timer holds`)
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** From the system's generator; streams make no difference here. */
export function systemRandom(): Random {
  const words = new Uint32Array(2)
  return {
    draw: () => {
      getRandomValues(words)
      // 53 bits: as many as a number in [0, 1) can tell apart.
      return ((words[0] as number) * 2 ** 21 + ((words[1] as number) >>> 11)) / 2 ** 53
    },
    nonce: () => randomBytes(16).toString('base64url'),
  }
}

/**
 * Processes of this machine. `boot` also names the process namespace: the same pid in another container is another process.
 * Without /proc (not Linux) only a pid that is free is known to be gone.
 */
export function systemHost(): Host {
  const boot = bootId()
  const identity: HolderIdentity = { boot, pid: process.pid, start: startOf(process.pid)?.start ?? '' }
  const isGone = (other: HolderIdentity): boolean => other.boot === boot && isDead(other)
  const gone = async (other: HolderIdentity, signal: AbortSignal): Promise<void> => {
    while (!isGone(other)) await sleep(other.boot === boot ? goneLookMs : limits.timerMsMax, signal)
  }
  return { identity: () => identity, isGone, gone }
}

/** How often one looks whether another process still lives: nobody tells. */
const goneLookMs = 500

function bootId(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot}/${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return `host:${hostname()}`
  }
}

function isDead(identity: HolderIdentity): boolean {
  try {
    process.kill(identity.pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return true
  }
  const found = startOf(identity.pid)
  if (found === undefined || identity.start === '') return false
  return found.start !== identity.start || found.state === 'Z' || found.state === 'X'
}

/** Fields 3 and 22 of /proc/PID/stat, counted after the name, which may hold anything. */
function startOf(pid: number): { state: string; start: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] as string, start: fields[19] as string }
  } catch {
    return undefined
  }
}

export type LeveledLog = Log & { level: LogLevel }

/** JSON lines on stdout, or wherever `destination` writes. What is below `level` is dropped; it may change at any time. */
export function pinoLog(options: { level?: LogLevel; destination?: { write(line: string): void } } = {}): LeveledLog {
  const { level = 'info', destination = pino.destination(1) } = options
  const logger = pino({ level, base: null }, destination)
  return {
    write: (level, message, fields) => logger[level](fields, message),
    get level() {
      return logger.level as LogLevel
    },
    set level(level) {
      logger.level = level
    },
  }
}
