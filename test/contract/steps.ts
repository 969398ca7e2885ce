/**
 * Random lives of one small workflow, as flat lists of small numbers, so that fast-check can cut them anywhere. What a number
 * means is decided when its turn comes, by looking at the keys: mostly calls that are right (a held replica, its seq, the
 * claim that is next), and often ones that are not (another holder, an old seq, a token said before, a key of a wrong type).
 */
import fc from 'fast-check'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import type { Script } from '../../engine/ports.ts'
import { knownDaemons, knownWorkflows, workflowPrefix } from '../../engine/store/keys.ts'
import { allScripts } from '../../engine/store/scripts/index.ts'
import { listArg } from '../../engine/store/scripts/prelude.ts'
import type { MakeOp, Op } from './redis-contract.ts'

export type Step = { kind: number; a: number; b: number; c: number; d: number }

const byte = fc.nat({ max: 255 })
export const stepArbitrary: fc.Arbitrary<Step> = fc.record({ kind: byte, a: byte, b: byte, c: byte, d: byte })

const loops = ['one', 'two.x'] as const
const queues = ['q1', 'q2', 'after_two.x_n|é'] as const
const holders = ['holder-a', 'holder-b', 'holder-c'] as const
const payloads = ['{}', '{"a":"x|y\\n"}', `{"long":"${'l'.repeat(200)}"}`, '{"é":"\ud83d\ude00 %d %1 \\u0000"}', '']
export const prefix = workflowPrefix('contract é')

/** Puts something of another type where a script expects its own, or takes it away again. */
export const spoil: Script = {
  name: 'spoil',
  lua: `
    redis.call('DEL', KEYS[1])
    if ARGV[1] == 'string' then redis.call('SET', KEYS[1], 'x') end
    if ARGV[1] == 'list' then redis.call('RPUSH', KEYS[1], 'x') end
    if ARGV[1] == 'hash' then redis.call('HSET', KEYS[1], 'x', 'y') end
    if ARGV[1] == 'set' then redis.call('SADD', KEYS[1], 'x') end
    return 1`,
  run(db, [key = ''], [type]) {
    db.del(key)
    if (type === 'string') db.set(key, 'x')
    if (type === 'list') db.rpush(key, 'x')
    if (type === 'hash') db.hset(key, 'x', 'y')
    if (type === 'set') db.sadd(key, 'x')
    return 1
  },
}

export const contractScripts: readonly Script[] = [...allScripts, spoil]

const pick = <T>(from: readonly T[], n: number): T => from[n % from.length] as T

function script(name: string): Script {
  const found = allScripts.find(each => each.name === name)
  if (found === undefined) throw new Error(`there is no script "${name}"`)
  return found
}

function call(name: string, ...args: (string | number)[]): Op {
  return { kind: 'call', script: script(name), keys: [prefix], args: args.map(String) }
}

/** `kept`: no key is ever given a wrong type. */
export type Types = 'spoilt' | 'kept'

export class Life {
  readonly #db: () => Keyspace
  readonly #types: Types
  #serial = 0
  #last: Op | undefined
  #full = false

  constructor(db: () => Keyspace, types: Types = 'spoilt') {
    this.#db = db
    this.#types = types
  }

  /** The operations of these steps; every life begins with a run, wished for or not, and with replicas held. */
  ops(steps: readonly Step[]): MakeOp[] {
    const isWished = steps.length % 2 === 0
    const opening: MakeOp[] = [
      () => (isWished ? call('desire', '', 'run:wished', '*') : undefined),
      () => this.#start(isWished ? 'wished' : 'resume', 'h1'),
      ...loops.map((_, i) => () => this.#acquire({ kind: 0, a: i, b: 0, c: 0, d: 0 })),
    ]
    return [...opening, ...steps.map(step => () => this.#noted(this.#make(step)))]
  }

  #noted(op: Op | undefined): Op | undefined {
    if (op?.kind === 'call' && op.script !== spoil) this.#last = op
    return op
  }

  #make(step: Step): Op | undefined {
    const { kind, a, b, c } = step
    if (kind < 44) return this.#claim(step)
    if (kind < 50) return this.#start(pick(['wished', 'adopt'], a), pick(['h1', 'h1', 'h2'], b))
    if (kind < 102) return this.#commit(step)
    if (kind < 108) return this.#define(step)
    if (kind < 120) return this.#redefine(step)
    if (kind < 140) return this.#acquire(step)
    if (kind < 150) return this.#push(step)
    if (kind < 158) return this.#intake(step)
    if (kind < 165) return this.#request(step)
    if (kind < 172) return call('renew', ...this.#renewal(step))
    if (kind < 174) return call('wake', ...listArg([`bell:${pick(loops, a)}`, `room:${pick(loops, b)}:0`]))
    if (kind < 182) return call('release', ...this.#fence(step), pick(['return', 'keep'], c))
    if (kind < 192) return call('delay', ...this.#fence(step), `field-${c % 3}`, 1000 + b)
    if (kind < 202) return call('complete', ...this.#fence(step), ...this.#completion(step))
    if (kind < 212) return this.#operate(step)
    if (kind < 217) {
      return this.#start(pick(['resume', 'fresh', 'adopt', 'resume'], a), pick(['h1', 'h1', 'h2'], b))
    }
    if (kind < 224) return this.#attend(step)
    if (kind < 231) return this.#last
    if (kind < 240) return this.#take(step)
    if (kind < 246) return { kind: 'disturb' }
    if (kind < 251) return this.#types === 'spoilt' ? this.#spoil(step) : undefined
    this.#full = !this.#full
    return { kind: 'full', full: this.#full }
  }

  #token(): string {
    this.#serial += 1
    return `token-${this.#serial}`
  }

  /** loop, replica, holder, token, seq: all right in three of four. */
  #fence({ a, d }: Step): (string | number)[] {
    const loop = pick(loops, a)
    const replica = (a >> 3) % 8 === 7 ? 1 : 0
    const r = `${prefix}r:${loop}:${replica}`
    const [holder, seq] = [this.#hget(r, 'holder') ?? 'nobody', Number(this.#hget(r, 'seq') ?? 0)]
    if (d < 192) return [loop, replica, holder, this.#token(), seq]
    if (d < 212) return [loop, replica, pick(holders, d), this.#token(), seq]
    if (d < 232) return [loop, replica, holder, this.#token(), seq + (d % 2 === 0 ? -1 : 1)]
    return [loop, replica, holder, this.#hget(r, 'last_token') ?? 'token-0', seq]
  }

  /** These may lie in a key of a wrong type, which the scripts are to notice, not we. */
  #hget(key: string, field: string): string | null {
    return this.#db().type(key) === 'hash' ? this.#db().hget(key, field) : null
  }
  #list(key: string): string[] {
    return this.#db().type(key) === 'list' ? this.#db().lrange(key, 0, -1) : []
  }

  #claim(step: Step): Op {
    return call('claim', ...this.#fence(step), ...this.#wish(step, 1 + (step.b % 4)))
  }

  #wish(step: Step, most: number): (string | number)[] {
    const sources = queues.slice(0, 1 + (step.c % 3)).flatMap(queue => [queue, pick(['4', '0', '10'], step.b)])
    return [most, step.c % 5, pick(['', 'chain'], step.b), ...listArg(sources)]
  }

  #commit(step: Step): Op {
    const fence = this.#fence(step)
    const claims = this.#list(`${prefix}c:${fence[0]}:${fence[1]}`)
    const count = 1 + (step.b % 3)
    const iterations = Array.from({ length: count }, (_, i) => this.#iteration(step, i, claims[i]))
    const most = pick([10_000, 2, 0], step.d)
    const targets = listArg(queues.flatMap(queue => [queue, pick(['4', '0', '10', '1'], step.a)]))
    return call('commit', ...fence, most, ...targets, ...this.#wish(step, step.d % 4), count, ...iterations.flat())
  }

  #iteration({ a, b, c, d }: Step, i: number, claim: string | undefined): (string | number)[] {
    const right = claim?.slice(claim.indexOf('\n') + 1).split('|')[1] ?? ''
    const key = d % 16 === 5 ? 'wrong' : right
    const pushes = Array.from({ length: (c + i) % 4 }, (_, j) => [
      pick(queues, b + j * (a % 2)),
      `0|k${this.#serial}.${i}.${j}|${1000 + b}|${pick(payloads, a + j)}`,
    ])
    const outcome = pick(['ok', 'ok', 'failed', 'state'], b + i)
    const writes = [
      ...(c % 3 === 0 ? ['state', `node-${a % 2}`, pick(['', '{"n":1}', '2'], b + i)] : []),
      ...(c % 5 === 0 ? ['runtime', `key-${b % 2}`, pick(['1', ''], a + i)] : []),
      ...(c % 4 === 1 ? ['delay', `field-${b % 3}`, ''] : []),
      ...(outcome === 'failed' ? ['letter', `dl-${this.#serial}.${i}`, pick(payloads, a)] : []),
    ]
    return [key, outcome, ...listArg(pushes.flat()), ...listArg(writes)]
  }

  #acquire({ a, b, c, d }: Step): Op {
    const [loop, replica] = [pick(loops, a), (a >> 3) % 8 === 7 ? 1 : 0]
    const current = this.#hget(`${prefix}r:${loop}:${replica}`, 'holder') ?? ''
    const token = d % 8 === 7 ? (this.#hget(`${prefix}r:${loop}:${replica}`, 'last_token') ?? 'token-0') : this.#token()
    const lease = c % 2 === 0 ? 1_000_000_000 : -1_000
    const gone = b % 3 === 0 ? current : ''
    const hash = d % 16 === 3 ? 'h0' : (this.#hget(`${prefix}loops`, loop) ?? '')
    const run = d % 16 === 4 ? 'run-0' : (this.#hget(`${prefix}meta`, 'run') ?? '')
    const holder = `${pick(holders, b)}`
    return call(
      'acquire',
      loop,
      replica,
      holder,
      token,
      lease,
      'boot',
      7,
      'start',
      gone,
      pick(['blame', 'spare'], c),
      hash,
      run,
      this.#hget(`${prefix}meta`, 'seed') ?? '',
    )
  }

  #renewal({ b, c }: Step): (string | number)[] {
    const leases = loops.slice(0, b % 3).flatMap(loop => {
      const holder = this.#hget(`${prefix}r:${loop}:0`, 'holder') ?? ''
      return [`${loop}:0`, c % 4 === 0 ? 'nobody' : holder]
    })
    return [c % 2 === 0 ? 1_000_000_000 : -1_000, ...listArg(leases)]
  }

  #push({ a, b, c, d }: Step): Op {
    const entries = Array.from({ length: c % 4 }, (_, i) => `0|p${this.#serial}.${i}|1|${pick(payloads, b + i)}`)
    const token = d % 8 === 0 ? `token-${this.#serial}` : this.#token()
    const queue = a % 8 === 7 ? `requeue_${pick(loops, b)}` : pick(queues, a)
    return call('push', token, queue, ...listArg(entries))
  }

  #intake({ a, b, c, d }: Step): Op {
    const items = Array.from({ length: c % 5 }, (_, i) => [
      pick(['', `key-${b % 3}`, ''], d + i),
      pick(queues, a + i * (b % 2)),
      pick(['4', '0', '1'], b),
      `0|w${this.#serial}.${i}|1|${pick(payloads, b + i)}`,
    ])
    const batch = d % 8 === 0 ? `token-${this.#serial}` : this.#token()
    return call('intake', batch, ...listArg(items.flat()))
  }

  #define({ a, b, c }: Step): Op {
    const expected = pick(['new', 'any', '1', '2'], b)
    return call('define', pick(['one', 'two é'], a), expected, 1_000 + c, pick(['{"a":"x\n|"}', '', '{}'], c))
  }

  #request({ a, b, c, d }: Step): Op {
    const pushes = Array.from({ length: c % 4 }, (_, i) => [
      pick(queues, a + i * (b % 2)),
      pick(['4', '0', '1'], b),
      `0|r${this.#serial}.${i}|1|${pick(payloads, b + i)}`,
    ])
    const runtime = c % 3 === 0 ? [`key-${b % 2}`, pick(['1', ''], a)] : []
    const token = d % 8 === 0 ? `token-${this.#serial}` : this.#token()
    const outcome = pick(['ok', 'failed'], d >> 4)
    return call('commit-request', token, pick(loops, d), outcome, ...listArg(pushes.flat()), ...listArg(runtime))
  }

  #completion({ a, b, c }: Step): (string | number)[] {
    const run = this.#hget(`${prefix}meta`, 'run') ?? 'run-1'
    const own = pick(loops, a)
    const lists = [
      c % 2 === 0 ? [own] : [...loops],
      queues.slice(0, c % 4),
      [`${own}:0`, `${own}:1`].slice(0, b % 3),
      loops.filter(loop => loop !== own).slice(0, b % 2),
      [...loops],
    ]
    return [run, 5_000 + b, ...lists.flatMap(list => listArg(list))]
  }

  #operate({ a, b, c }: Step): Op {
    const letters = this.#list(`${prefix}dlo`)
    const letter = letters.length > 0 && c % 4 > 0 ? pick(letters, c) : 'unknown'
    const choice = a % 4
    if (choice === 0) return call('requeue', letter, pick(queues, b), pick(loops, b), `0|again${this.#token()}|9|{}`)
    if (choice === 1) return call('purge-dead-letters', ...listArg(c % 8 === 0 ? [] : [letter, 'unknown']))
    if (choice === 2 && b % 4 === 3)
      return call('dev-cache', pick(['a', 'b', 'c'], c), pick(['', `${b}\n{}`, 'x'], a), b % 7)
    if (choice === 2) return call('purge-queue', pick(queues, b))
    const token = this.#hget(`${prefix}meta`, 'run_token') ?? 'none'
    const wish = pick(['pause', 'stop', '', `run:${this.#token()}`, `run:${token}`], c)
    return call('desire', pick(['', '', ...loops], b), wish, pick(['*', '*', '', 'stop'], b + c))
  }

  #attend(step: Step): Op {
    const { a, b, c } = step
    if (c % 4 === 0) return call('time')
    if (c % 4 === 1) return this.#spend(step)
    const prefixes = [prefix, workflowPrefix('unknown'), prefix].slice(0, b % 4)
    return call('attend', pick(holders, a), pick(['{"pid":1}', '{}', ''], b), 1_000_000_000, ...listArg(prefixes))
  }

  /** In one window for ages: clocks differ between arms. One that is spoilt begins anew. */
  #spend({ a, b, d }: Step): Op {
    const token = d % 8 === 0 ? `token-${this.#serial}` : this.#token()
    return call('spend', pick(['é', 'key 1'], a), token, 1e15, pick([5, 1, 0], b), 1 + (a % 3))
  }

  #start(mode: string, hash: string): Op {
    const expected = this.#hget(`${prefix}meta`, 'hash') ?? ''
    const gone = listArg(this.#serial % 3 === 0 ? ['holder-a', 'holder-b'] : [])
    const dropped = listArg(hash === 'h2' ? ['node-1'] : [])
    const token = this.#token()
    const args = [mode, token, `seed-${this.#serial}`, 4_000, expected, ...dropped, ...gone]
    return call('start-run', ...args, ...this.#declaration(hash))
  }

  /** `h2` defines the second loop otherwise, `h3` has a third one instead of the first. */
  #declaration(hash: string): (string | number)[] {
    const own = { one: ['one', 'a'], 'two.x': ['two.x', hash === 'h2' ? 'b' : 'a'], three: ['three', 'a'] }
    const known = hash === 'h3' ? [...own['two.x'], ...own.three] : [...own.one, ...own['two.x']]
    const readers = hash === 'h3' ? ['', 'two.x\nthree'] : ['one', 'two.x\none']
    const replicas = ['one:0', 'two.x:0', 'two.x:1', 'three:0'].slice(hash === 'h3' ? 1 : 0, hash === 'h3' ? 4 : 3)
    const limit = pick(['4', '10'], this.#serial)
    const declared = ['q1', readers[0] as string, limit, 'q2', readers[1] as string, '0', 'after_two.x_n|é', '', '10']
    const schema = this.#serial % 29 === 28 ? 3 : 2
    return [schema, hash, '{"n":"type"}', ...listArg(known), ...listArg(replicas), ...listArg(declared)]
  }

  #redefine({ a, b, c, d }: Step): Op {
    const expected = d % 8 === 0 ? 'h0' : (this.#hget(`${prefix}meta`, 'hash') ?? '')
    const gone = a % 3 === 0 ? [] : [...holders].slice(0, 1 + (a % 3))
    const lists = [b % 2 === 0 ? ['node-1'] : [], gone, c % 2 === 0 ? ['two.x', 'three'] : []]
    const hash = pick(['h1', 'h2', 'h3', 'h2'], c)
    const yieldMs = b % 8 === 0 ? -1_000 : 1_000_000_000
    return call(
      'redefine',
      expected,
      yieldMs,
      6_000,
      ...lists.flatMap(list => listArg(list)),
      ...this.#declaration(hash),
    )
  }

  /** Bells only, and only those that are there: waiting has no place in a comparison. */
  #take({ a }: Step): Op | undefined {
    const key = `${prefix}${pick(['bell:', 'room:', 'free:'], a)}${pick(loops, a)}${a % 3 === 0 ? '' : ':0'}`
    return this.#list(key).length > 0 ? { kind: 'take', key } : undefined
  }

  #spoil({ a, b, c }: Step): Op {
    const fixed = [
      'meta',
      'bells',
      'limits',
      'queues',
      'state',
      'runtime',
      'ended',
      'delays',
      'dl',
      'dlo',
      'pushed',
      'pushedo',
      'desired',
      'replicas',
      'out',
      'definitions',
      'batches',
      'batcheso',
      'loops',
      'yields',
      'rates',
    ]
    const made = [`q:${pick(queues, b)}`, `full:${pick(queues, b)}`, `r:${pick(loops, b)}:0`, `c:${pick(loops, b)}:0`]
    const bells = [`bell:${pick(loops, b)}`, `q:requeue_${pick(loops, b)}`]
    const type = pick(['string', 'none', 'hash', 'list', 'set', 'none'], c)
    const key = pick([...fixed, ...made, ...bells].map(name => prefix + name).concat(knownDaemons, knownWorkflows), a)
    // a list of what is no entry is not another type but a broken promise of our own: no script looks for that
    const other = type === 'list' && /:(q:|c:|dlo|pushedo|batcheso)/.test(key) ? 'string' : type
    return { kind: 'call', script: spoil, keys: [key], args: [other] }
  }
}
