/**
 * Each node instance is set up once, works only between that and its cleanup, and is cleaned up once. A daemon that ends
 * on its own, not by a crash, leaves nothing open: no instance, no timer, no call, no worker, and no lease in Redis.
 * Instances inside workers are not looked at.
 */
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { keysOf, replicaName } from '../../engine/store/keys.ts'
import type { FaultKind, OperationName } from '../faults.ts'
import type { InstanceNews, LifeNews } from '../life.ts'
import type { Applied } from '../server.ts'
import { type Invariant, type InvariantContext, type MakeInvariant, type Report, takesLease } from './invariant.ts'

type Phase = 'made' | 'set up' | 'cleaned up'

class Lifecycle implements Invariant {
  readonly name = 'lifecycle'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  /** By life, then by instance. */
  readonly #instances = new Map<number, Map<number, { node: string; phase: Phase }>>()

  /** Who holds each replica, as far as anybody said. */
  readonly #holders = new Map<string, string>()
  /** Holders that gave their lease back, were replaced, or were told that Redis went back in time: what it forgot is not theirs. */
  readonly #excused = new Set<string>()
  /** Somebody wished that it be killed: whoever is waits for no answer, and may not know of a lease that it was given. */
  #isKilled = false

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
  }

  instance({ pid, instance, node, what }: InstanceNews): void {
    const ofLife = this.#instances.get(pid) ?? new Map()
    this.#instances.set(pid, ofLife)
    const { phase } = ofLife.get(instance) ?? { phase: 'made' }
    const whose = `an instance of node "${node}"`
    if (what === 'executes') {
      if (phase !== 'set up') this.#report(`${whose} works after its setup and before its cleanup`, `it was ${phase}`)
      return
    }
    const wanted: Phase = what === 'is set up' ? 'made' : 'set up'
    if (phase !== wanted) this.#report(`${whose} ${what} once, when it was ${wanted}`, `it was ${phase}`)
    ofLife.set(instance, { node, phase: what === 'is set up' ? 'set up' : 'cleaned up' })
  }

  applied(applied: Applied): void {
    const { op, args, outcome } = applied
    if (takesLease(applied)) {
      const name = replicaName(args[0] ?? '', Number(args[1]))
      this.#excused.add(this.#holders.get(name) ?? '')
      this.#holders.set(name, args[2] ?? '')
    }
    if (op === 'desire' && args[1] === 'kill') this.#isKilled = true
    const isBack = op === 'release' && outcome.ok && outcome.changed
    if (isBack || (outcome.ok && String(outcome.reply) === 'diverged')) this.#excused.add(args[2] ?? '')
  }

  disturbed(kind: FaultKind, { op, loop }: OperationName): void {
    if (kind !== 'refused-applied' || op !== 'acquire' || !this.#isKilled) return
    for (const [name, holder] of this.#holders) if (name.startsWith(`${loop}:`)) this.#excused.add(holder)
  }

  life(news: LifeNews, db: Keyspace): void {
    if (news.what === 'ends') this.#leavesNothing(news, db)
    if (news.what === 'ends' || news.what === 'dies') this.#instances.delete(news.pid)
  }

  #leavesNothing({ daemon, pid, open, status }: LifeNews & { what: 'ends' }, db: Keyspace): void {
    const who = `daemon ${daemon}, which ${status === 'failed' ? 'gave up' : `has ${status}`}`
    const kept = [...(this.#instances.get(pid)?.values() ?? [])].find(({ phase }) => phase !== 'cleaned up')
    if (kept !== undefined)
      this.#report(`${who}, cleans its instances up`, `one of node "${kept.node}" was ${kept.phase}`)
    if (open.length > 0) this.#report(`${who}, leaves nothing open`, open.join(', '))
    for (const name of db.smembers(this.#keys.replicas)) {
      const holder = db.hget(this.#keys.replica(name), 'holder') ?? ''
      const isHis = db.hget(this.#keys.replica(name), 'pid') === String(pid)
      if (holder !== '' && isHis && !this.#excused.has(holder))
        this.#report(`${who}, gives its leases back`, `it holds "${name}" as ${holder}`)
    }
  }
}

export const lifecycle: MakeInvariant = context => new Lifecycle(context)
