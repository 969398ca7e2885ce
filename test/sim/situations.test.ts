/** What each watch takes for its situation, and what nearly is one. Whether they come up in real runs, `sim --seeds 2000` tells. */
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../engine/errors.ts'
import type { JsonObject } from '../../engine/json.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { LifeNews } from '../../sim/life.ts'
import { Situations, situations } from '../../sim/situations.ts'
import { eventOf } from './invariants/history.ts'
import { appliedOf, claimOf, entry, graphOf, twoLoops, workflowOf } from './support.ts'

const plain = graphOf(twoLoops(3))
const queue = 'queue_out_in'

class History {
  readonly #seen: Situations
  constructor(graph = plain) {
    this.#seen = new Situations(graph)
  }
  reached(): string[] {
    return [...this.#seen.reached].sort()
  }
  /** An answer is given as one line; `/` parts the lines of its head. */
  op(
    op: string,
    answer: string,
    more: { args?: string; moves?: Parameters<typeof appliedOf>[1]; unchanged?: true; ms?: number } = {},
  ) {
    const base = appliedOf(op, more.moves ?? [])
    const reply = answer.replaceAll('/', '\n')
    const args = (more.args ?? '').split(' ')
    const outcome = { ok: true, reply, changed: more.unchanged !== true } as const
    this.#seen.applied({ ...base, args, outcome, ms: more.ms ?? 0 })
    return this
  }
  refused(op: string, code: 'REDIS_OUT_OF_MEMORY' | 'REDIS_READONLY') {
    const outcome = { ok: false, error: new EngineError(code, 'no'), changed: false } as const
    this.#seen.applied({ ...appliedOf(op, []), outcome })
    return this
  }
  acquire(
    pid: number,
    returned = 0,
    more: { gone?: string; replica?: number; moves?: Parameters<typeof appliedOf>[1] } = {},
  ) {
    const { gone = '', replica = 0, moves = [] } = more
    const args = `in ${replica} h${pid}.${replica} t 10000 boot ${pid} 0 ${gone} blame hash run`
    return this.op('acquire', `acquired/1/0/${returned}`, { args, moves })
  }
  fault(kind: Parameters<Situations['fault']>[0], op: string) {
    this.#seen.fault(kind, { op, loop: 'in', n: 1 })
    return this
  }
  life(what: Exclude<LifeNews['what'], 'ends'>, pid: number) {
    this.#seen.life({ what, pid, daemon: Math.floor(pid / 1000), teller: String(pid) })
    return this
  }
  event(type: EngineEvent['type'], more: JsonObject = {}) {
    this.#seen.event(eventOf(type, more), 1)
    return this
  }
  losing(what: (history: History) => void, by: 'failover' | 'restart-loses') {
    const restore = this.#seen.save()
    what(this)
    this.fault(by, 'claim')
    restore()
    return this
  }
}

const left = (mark: string) => ['out', 'c:in:0', claimOf(queue, 'a').replace('\n0', `\n${mark}`)] as const
const back = (mark: string, key = 'a') => ['in', `q:${queue}`, entry(key).replace(/^0/, mark)] as const
const taken = (mark: string) => ['in', 'c:in:0', claimOf(queue, 'a').replace('\n0', `\n${mark}`)] as const
const letter = ['in', 'dl', 'dl-a'] as const

type Tell = (history: History) => unknown
/** A history that is it, and one that nearly is. */
const atServer: Record<string, [Tell, Tell]> = {
  'a commit was sent again after it was applied': [h => h.op('commit', 'again/ok/1'), h => h.op('commit', 'ok/1')],
  'a commit was lost on its way, and arrived when it was sent again': [
    h => h.fault('refused', 'commit').op('commit', 'ok/1'),
    h => h.fault('refused', 'claim').op('commit', 'ok/1'),
  ],
  'several iterations were committed at once': [h => h.op('commit', 'ok/2'), h => h.op('commit', 'ok/1')],
  'a group was committed in part: a queue had no room for the rest': [
    h => h.op('commit', 'full/1'),
    h => h.op('commit', 'full/0'),
  ],
  'a loop waited for room in a full queue': [h => h.op('commit', 'full/0'), h => h.op('commit', 'full/1')],
  'Redis had no memory for a commit': [
    h => h.refused('commit', 'REDIS_OUT_OF_MEMORY'),
    h => h.refused('commit', 'REDIS_READONLY'),
  ],
  'a commit met a Redis that accepts no writes': [
    h => h.fault('readonly', 'commit'),
    h => h.fault('readonly', 'claim'),
  ],
  'a claim was sent again after it was applied': [
    h => h.op('claim', 'claimed/1/0', { unchanged: true }),
    h => h.op('claim', 'empty', { unchanged: true }),
  ],
  'a completion was sent again after it was applied': [
    h => h.op('complete', 'again/completed'),
    h => h.op('complete', 'completed'),
  ],
  'a replica was told that Redis went back in time': [h => h.op('claim', 'diverged'), h => h.op('claim', 'fenced')],
  'a restart of Redis lost committed iterations': [
    h => h.losing(each => each.op('commit', 'ok/1'), 'restart-loses'),
    h => h.losing(each => each.op('claim', 'claimed/1/0'), 'restart-loses'),
  ],
  'a fail-over lost committed iterations': [
    h => h.losing(each => each.op('commit', 'ok/1'), 'failover'),
    h => h.losing(each => each.op('commit', 'full/0'), 'failover'),
  ],
  'a delay went on after a crash with only its rest left': [
    h => h.op('delay', 'delay/500', { args: 'in 0 h t 1 field 700' }),
    h => h.op('delay', 'delay/700', { args: 'in 0 h t 1 field 700' }),
  ],
  'a delay ended while nobody was there to notice': [
    h => h.op('delay', 'delay/-1', { args: 'in 0 h t 1 field 700' }),
    h => h.op('delay', 'delay/500', { args: 'in 0 h t 1 field 700' }),
  ],
  'a wake-up was lost with its connection': [h => h.fault('reply-lost', 'wait'), h => h.fault('reply-lost', 'claim')],
  'a wake-up was given back': [h => h.op('wake', 'ok'), h => h.op('wait', 'ok')],
  'a workflow or loop was paused, and resumed': [
    h => h.op('desire', 'ok/running', { args: 'in pause *' }).op('desire', 'ok/running', { args: 'in  *' }),
    h => h.op('desire', 'ok/running', { args: 'in pause *' }).op('desire', 'ok/running', { args: 'other  *' }),
  ],
  'an item that had failed was tried again': [h => h.op('requeue', 'requeued'), h => h.op('requeue', 'unknown')],
  'two people wanted the same item to be tried again': [
    h => h.op('requeue', 'unknown'),
    h => h.op('requeue', 'requeued'),
  ],
  'claims of a dead holder were recovered': [h => h.acquire(1001, 1), h => h.acquire(1001, 0)],
  'a replica waited for the lease of another holder': [h => h.op('acquire', 'held/x'), h => h.op('acquire', 'ended/x')],
  'an acquisition was sent again after it was applied': [
    h => h.op('acquire', 'acquired/1/0/0', { unchanged: true }),
    h => h.acquire(1001),
  ],
  'a replica took over at once from a dead holder on the same machine': [
    h => h.acquire(1001).acquire(1002, 0, { gone: 'h1001.0' }),
    h => h.acquire(1001).acquire(1002),
  ],
  'a lease was lost in mid-iteration by a daemon that lived': [
    h => h.life('begins', 1001).acquire(1001).acquire(2001, 1),
    h => h.life('begins', 1001).acquire(1001).life('dies', 1001).acquire(2001, 1),
  ],
  'recovery met a half-done recovery': [
    h => h.life('begins', 1001).acquire(1001, 1).life('dies', 1001).acquire(1002),
    h =>
      h
        .life('begins', 1001)
        .acquire(1001, 1)
        .op('claim', 'claimed/1/0', { args: 'in 0' })
        .life('dies', 1001)
        .acquire(1002),
  ],
  'a renewal was told that its lease is gone': [h => h.op('renew', '1/0/'), h => h.op('renew', '1/1/')],
  'replicas of one loop ran in two daemons at once': [
    h => h.life('begins', 1001).life('begins', 2001).acquire(1001).acquire(2001, 0, { replica: 1 }),
    h => h.life('begins', 1001).acquire(1001).acquire(1001, 0, { replica: 1 }),
  ],
  'a daemon had to wait for a lease of its own earlier life': [
    h => h.life('begins', 1001).life('begins', 1002).op('acquire', 'held/h/b/1001', { args: 'in 0 h t 1 b 1002' }),
    h => h.life('begins', 1001).life('begins', 2001).op('acquire', 'held/h/b/1001', { args: 'in 0 h t 1 b 2001' }),
  ],
  'a commit was fenced: another had taken over': [h => h.op('commit', 'fenced'), h => h.op('claim', 'fenced')],
  'a daemon woke up from a pause to find its commit refused': [
    h => h.life('begins', 1001).acquire(1001).life('wakes', 1001).op('commit', 'fenced', { args: 'in 0 h1001.0' }),
    h => h.life('begins', 1001).acquire(1001).life('wakes', 2001).op('commit', 'fenced', { args: 'in 0 h1001.0' }),
  ],
  'two daemons began at the same time': [
    h => h.life('begins', 1001).life('begins', 2001),
    h => h.life('begins', 1001).acquire(1001).life('begins', 2001),
  ],
  'the only claim of a dead holder was charged for its death': [
    h => h.acquire(1001, 1, { moves: [back('s1')] }),
    h => h.acquire(1001, 1, { moves: [back('s0')] }),
  ],
  'several claims of a dead holder became suspects, none was charged': [
    h => h.acquire(1001, 2, { moves: [back('s0'), back('s0', 'b')] }),
    h => h.acquire(1001, 2, { moves: [back('s0')] }),
  ],
  'a suspect was claimed alone': [
    h => h.op('claim', 'claimed/1/0', { moves: [taken('s1')] }),
    h => h.op('claim', 'claimed/1/0', { moves: [taken('0')] }),
  ],
  'a suspect turned out to be innocent': [
    h => h.op('commit', 'ok/1', { moves: [left('s1')] }),
    h => h.op('commit', 'ok/1', { moves: [left('s1'), letter] }),
  ],
  'a drain timed out and kept its claims': [
    h => h.op('release', 'released/0', { args: 'in 0 h t 1 keep' }),
    h => h.op('release', 'released/0', { args: 'in 0 h t 1 return' }),
  ],
  'a drain gave back what was claimed ahead': [h => h.op('release', 'released/2'), h => h.op('release', 'released/0')],
  'a daemon was told to stop while it recovered claims': [
    h => h.life('is told to stop', 1001).acquire(1001, 1),
    h => h.life('is told to stop', 1001).acquire(1002, 1),
  ],
  'a daemon died while it drained': [
    h => h.life('is told to stop', 1001).life('dies', 1001),
    h => h.life('is told to stop', 1001).life('dies', 1002),
  ],
}

const shapes = graphOf(
  workflowOf(
    [
      ['tick', 'timer', { interval: 10, unit: 'seconds', limit: 3 }],
      ['odd', 'if-condition', { condition_expression: 'true' }],
      ['yes', 'log', { message: 'y' }],
      ['no', 'log', { message: 'n' }],
      ['join', 'log', { message: 'j' }],
      ['each', 'for-each', { array_expression: '{{ [] }}' }],
      ['inner', 'for-each', { array_expression: '{{ [1] }}' }],
      ['body', 'log', { message: 'b' }],
    ],
    'tick>odd odd>yes:yes odd>no:no yes>join no>join join>each each>inner:body inner>body:body',
  ),
)
const at = (node_id: string): JsonObject => ({ loop: 'tick', node_id })
const inEngine: Record<string, [Tell, Tell]> = {
  'a join ran with a live and a dead branch': [
    h => h.event('iteration_started', at('')).event('node_skipped', at('no')).event('node_started', at('join')),
    h => h.event('node_skipped', at('no')).event('iteration_started', at('')).event('node_started', at('join')),
  ],
  'a join was skipped: all its branches were dead': [
    h => h.event('node_skipped', at('join')),
    h => h.event('node_skipped', at('no')),
  ],
  'a for-each went over nothing': [
    h => h.event('node_started', at('each')).event('node_completed', at('each')),
    h => h.event('node_started', at('each')).event('node_started', at('inner')).event('node_completed', at('each')),
  ],
  'a for-each ran within a for-each': [
    h => h.event('node_started', at('inner')),
    h => h.event('node_started', at('body')),
  ],
  'a node ran out of time': [
    h => h.event('node_failed', { ...at('yes'), error: { code: 'NODE_TIMEOUT' } }),
    h => h.event('node_failed', { ...at('yes'), error: { code: 'NODE_FAILED' } }),
  ],
  'a node failed while others of its iteration were at work': [
    h => works(h).event('node_failed', { ...at('yes'), error: { code: 'X' } }),
    h =>
      works(h)
        .event('node_completed', at('no'))
        .event('node_failed', { ...at('yes'), error: { code: 'X' } }),
  ],
  'an iteration was begun again by a later life': [
    h =>
      h.life('begins', 1001).event('iteration_started', at('')).life('begins', 1002).event('iteration_started', at('')),
    h => h.life('begins', 1001).event('iteration_started', at('')).event('iteration_started', at('')),
  ],
  'a timer caught up with ticks that it had missed': [
    h => ticks(h, 0, 1).event('iteration_started', { ...at(''), iteration: 2, time: 4_000 }),
    h => ticks(h, 0, 1).event('iteration_started', { ...at(''), iteration: 2, time: 10_000 }),
  ],
  'Redis lost the whole run': [h => h.event('warning', { code: 'RUN_LOST' }), h => h.event('warning', { code: 'X' })],
}
const works = (h: History): History =>
  h.event('iteration_started', at('')).event('node_started', at('yes')).event('node_started', at('no'))
const ticks = (h: History, time: number, iteration: number): History =>
  h.event('iteration_started', { ...at(''), iteration, time })

describe('situations', () => {
  it('are at least thirty, each with a name of its own', () => {
    expect(new Set(situations).size).toBe(situations.length)
    expect(situations.length).toBeGreaterThanOrEqual(30)
  })
  it.each(Object.entries(atServer))('%s', (name, [isIt, nearly]) => {
    const [seen, other] = [new History(), new History()]
    isIt(seen)
    nearly(other)
    expect([seen.reached().includes(name), other.reached().includes(name)]).toEqual([true, false])
  })
  it.each(Object.entries(inEngine))('%s', (name, [isIt, nearly]) => {
    const [seen, other] = [new History(shapes), new History(shapes)]
    isIt(seen)
    nearly(other)
    expect([seen.reached().includes(name), other.reached().includes(name)]).toEqual([true, false])
  })
  it('asks nothing more once a situation came up', () => {
    expect(new History().op('commit', 'again/ok/1').op('commit', 'again/ok/1').reached()).toHaveLength(1)
  })
})
