/** One daemon of a world, through all its lives, and what these are called. */
import type { HolderIdentity } from '../engine/ports.ts'
import type { Instance } from './instance.ts'
import type { LocalTime } from './local-time.ts'

export type Daemon = {
  number: number
  lives: number
  boot: string
  instance: Instance | undefined
  local: LocalTime | undefined
  /** When it wakes up, in milliseconds since the beginning. */
  wakesMs: number
  /** Until when somebody slept in its earlier lives. */
  sleptMs: number
  state: 'up' | 'down' | 'done' | 'dead for ever'
  /** A reload of it was refused, or is under way. */
  reloads: 'no' | 'soon'
}

/** No two lives have the same. */
export function pidOf({ number, lives }: Daemon): number {
  return 1000 * number + lives
}

export function nameOf({ number, lives }: Daemon): string {
  return `${number}.${lives}`
}

export function whose(daemon: Daemon): { daemon: number; pid: number; teller: string } {
  return { daemon: daemon.number, pid: pidOf(daemon), teller: nameOf(daemon) }
}

export function lifeOf({ boot, pid, start }: HolderIdentity): string {
  return `${boot} ${pid} ${start}`
}
