/** What befalls the lives of daemons, as the world tells it to those who watch: invariants and rare situations. */
import type { RunEnd } from '../engine/flow-engine.ts'

export type LifeNews = {
  daemon: number
  /** No two lives have the same. */
  pid: number
  /** Under what name it tells its events. */
  teller: string
} & (
  | { what: 'begins' | 'pauses' | 'wakes' | 'is told to stop' | 'dies' }
  /** On its own; `open` names what it left open in its host. */
  | { what: 'ends'; status: RunEnd['status']; open: readonly string[] }
)

export type InstanceNews = {
  pid: number
  node: string
  /** Counted from 1 within its life. */
  instance: number
  what: 'is set up' | 'executes' | 'is cleaned up'
}
