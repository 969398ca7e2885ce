/** What a connection of one daemon is made of: time, draws, the server at its other end, and the faults on the way. */
import { EngineError } from '../engine/errors.ts'
import type { SimTime } from './clock.ts'
import type { FaultBook, FaultKind, OperationName } from './faults.ts'
import type { Draws } from './random.ts'
import type { SimServer } from './server.ts'

export type Wire = {
  time: SimTime
  draws: Draws
  server: SimServer
  book: FaultBook
  latencyMsMax: number
  comebackMsMax: number
  /** A fault was applied here. */
  fault(kind: FaultKind, at: OperationName): void
  /** Whoever holds this connection dies at once. */
  crash(): void
  /** An operator asks it to stop. */
  stop(): void
}

export function unavailable(): EngineError {
  return new EngineError('REDIS_UNAVAILABLE', 'Cannot reach Redis: the connection is gone')
}
