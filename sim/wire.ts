/** What a connection of one daemon, or of a worker of it, is made of: time, draws, the server at its other end, and the faults on the way. */
import { EngineError } from '../engine/errors.ts'
import type { SimTime } from './clock.ts'
import type { FaultBook, FaultKind, OperationName } from './faults.ts'
import type { Time } from './local-time.ts'
import type { Draws } from './random.ts'
import type { Request, SimServer } from './server.ts'

/** Around an operation: before it is sent, when it is applied, when its reply has come. */
export type Moment = 'before' | 'applied' | 'replied'

export type Wire = {
  /** Of the network and the server. */
  time: SimTime
  /** Of whoever is at this end. */
  local: Time
  draws: Draws
  server: SimServer
  book: FaultBook
  latencyMsMax: number
  comebackMsMax: number
  /** A fault was applied here. */
  fault(kind: FaultKind, at: OperationName): void
  /** Whoever holds this connection dies now, if the plan says so; true when it did. */
  dies(moment: Moment, at: OperationName): boolean
  /** Something happens to whoever holds this connection, as it sends an operation. */
  strike(request: Request): void
  /** A last look at an operation before it arrives; what is not admitted never happens. */
  admits(request: OperationName): boolean
}

export function unavailable(): EngineError {
  return new EngineError('REDIS_UNAVAILABLE', 'Cannot reach Redis: the connection is gone')
}
