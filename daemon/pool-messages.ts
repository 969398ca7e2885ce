/** What a worker of a real host is handed at its start, and the envelopes that go to and fro: the loop's words, Redis, logs. */

import type { JsonObject } from '../engine/json.ts'
import type { LogLevel } from '../engine/ports.ts'
import type { FromWorker, LoopTask, ToWorker } from '../engine/run/pool-protocol.ts'
import type { OutgoingRules } from './outgoing-policy.ts'
import type { RedisReply, RedisRequest } from './redis-bridge.ts'
import type { MeterBatch } from './redis-metered.ts'

export type WorkerStart = {
  task: LoopTask
  /** Undefined: the embedded one, by message. */
  redisUrl: string | undefined
  filesDir: string
  nodesDir: string | undefined
  /** Undefined: its requests may go anywhere. */
  outgoing: OutgoingRules | undefined
}

export type Down = { to: 'loop'; message: ToWorker } | { to: 'redis'; message: RedisReply }
export type Up =
  | { from: 'loop'; message: FromWorker }
  | { from: 'redis'; message: RedisRequest }
  | { from: 'meter'; batch: MeterBatch }
  | { from: 'log'; level: LogLevel; message: string; fields: JsonObject }
