/** What a connection of one daemon is made of: time, draws, the server at its other end, and the faults on the way. */
import { EngineError } from '../engine/errors.ts'
import type { SimTime } from './clock.ts'
import type { FaultBook, FaultKind, OperationName } from './faults.ts'
import type { LocalTime } from './local-time.ts'
import type { Draws } from './random.ts'
import type { SimServer } from './server.ts'

export type Wire = {
  /** Of the network and the server. */
  time: SimTime
  /** Of the daemon at this end. */
  local: LocalTime
  draws: Draws
  server: SimServer
  book: FaultBook
  latencyMsMax: number
  comebackMsMax: number
  /** A fault was applied here. */
  fault(kind: FaultKind, at: OperationName): void
  /** Whoever holds this connection dies at once. */
  crash(): void
  /** Something happens to whoever holds this connection, as it sends an operation. */
  strike(request: OperationName): void
  /** A last look at an operation before it arrives; what is not admitted never happens. */
  admits(request: OperationName): boolean
}

export function unavailable(): EngineError {
  return new EngineError('REDIS_UNAVAILABLE', 'Cannot reach Redis: the connection is gone')
}
