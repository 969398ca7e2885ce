/** What `sim --real` needs of a host: a real Redis, and processes that really run the engine and can really be killed. */
import { fork } from 'node:child_process'
import { codeOf, messageOf } from '../engine/errors.ts'
import type { Redis, Script } from '../engine/ports.ts'
import type { Answer, LifeJob, LifeSays, OutsideOp } from './real-life.ts'
import { connectRedis } from './redis.ts'
import { startRedisServer } from './redis-server.ts'

export type Outside = (op: OutsideOp, args: unknown[]) => unknown
export type RealEnd = { status: string; error?: unknown }
/** `begun` never settles for one that is killed before. */
export type RealLife = { kill(): void; readonly begun: Promise<void>; readonly ended: Promise<RealEnd> }

export type RealServer = { url: string; redis: Redis; forget(prefix: string): Promise<void>; close(): Promise<void> }

/** Looks at all keys of the server, which is one for tests. */
const forgetAll: Script = {
  name: 'forget',
  lua: "for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do redis.call('DEL', key) end return 0",
  run: () => '0',
}

/** A server that is given, or one of our own. */
export async function openRealRedis(given: string | undefined): Promise<RealServer> {
  const own = given === undefined ? await startRedisServer() : undefined
  const url = given ?? (own?.url as string)
  try {
    const redis = await connectRedis(url)
    const close = async (): Promise<void> => {
      await redis.close()
      own?.close()
    }
    const forget = async (prefix: string): Promise<void> => {
      await redis.call(forgetAll, [prefix], [])
    }
    return { url, redis, forget, close }
  } catch (error) {
    own?.close()
    throw error
  }
}

/** Starts a process that runs a workflow until it completes, or is killed: status `killed`. */
export function beginLife(job: LifeJob, outside: Outside): RealLife {
  const child = fork(new URL('./real-life.js', import.meta.url), {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  let end: RealEnd = { status: 'killed' }
  let begin = (): void => undefined
  const begun = new Promise<void>(resolve => {
    begin = resolve
  })
  child.on('message', (said: LifeSays) => {
    if ('begun' in said) begin()
    else if ('end' in said) end = said.end
    else if (child.connected)
      child.send(
        answerTo(said.ask, () => outside(said.op, said.args)),
        () => undefined,
      )
  })
  child.send({ job }, () => undefined)
  const ended = new Promise<RealEnd>(resolve => child.on('close', () => resolve(end)))
  return { kill: () => void child.kill('SIGKILL'), begun, ended }
}

function answerTo(answer: number, work: () => unknown): Answer {
  try {
    return { answer, value: work() }
  } catch (error) {
    return { answer, error: { code: codeOf(error) ?? 'NODE_FAILED', message: messageOf(error) } }
  }
}
