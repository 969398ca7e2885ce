/** The nodes that come with the engine, by category. */
import type { NodeClass } from '../node/node.ts'
import { DataTransformer } from './data/data-transformer.ts'
import { Log } from './data/log.ts'
import { FileReader } from './files/file-reader.ts'
import { FileWriter } from './files/file-writer.ts'
import { Background } from './flow/background.ts'
import { ForEach } from './flow/for-each.ts'
import { IfCondition } from './flow/if-condition.ts'
import { Switch } from './flow/switch.ts'
import { HttpRequest } from './network/http-request.ts'
import { HttpResponse } from './network/http-response.ts'
import { WebhookProducer } from './network/webhook-producer.ts'
import { Counter } from './producers/counter.ts'
import { StringIteratorProducer } from './producers/string-iterator-producer.ts'
import { Timer } from './producers/timer.ts'
import { QueueReader } from './queues/queue-reader.ts'
import { QueueWriter } from './queues/queue-writer.ts'
import { DynamicDelay } from './time/dynamic-delay-node.ts'
import { StaticDelay } from './time/static-delay-node.ts'

export const builtinNodes: readonly NodeClass[] = [
  ...[Counter, StringIteratorProducer, Timer],
  ...[QueueReader, QueueWriter],
  ...[Background, ForEach, IfCondition, Switch],
  ...[DataTransformer, Log],
  ...[FileReader, FileWriter],
  ...[HttpRequest, HttpResponse, WebhookProducer],
  ...[DynamicDelay, StaticDelay],
]
