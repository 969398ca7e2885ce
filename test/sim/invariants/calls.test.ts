/** The invariants of what people ask over HTTP: histories that hold, some of them barely, and such that do not. */
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../engine/json.ts'
import { encodeEntry, encodeItem } from '../../../engine/store/entry.ts'
import type { CallNews } from '../../../sim/callers.ts'
import { bodyOf, type CallOf, markOf, type PlanCall } from '../../../sim/calls.ts'
import { canaries } from '../../../sim/canaries.ts'
import type { CallAnswer } from '../../../sim/front.ts'
import { answers } from '../../../sim/invariants/answers.ts'
import { development } from '../../../sim/invariants/development.ts'
import { intake } from '../../../sim/invariants/intake.ts'
import type { Invariant } from '../../../sim/invariants/invariant.ts'
import { separation } from '../../../sim/invariants/separation.ts'
import type { Applied } from '../../../sim/server.ts'
import { appliedOf, graphOf } from '../support.ts'
import { reports } from './history.ts'

const hooked = graphOf(canaries.hook)
const asked = graphOf(canaries.asked)
const day = 24 * 3_600_000

/** A step of a history. */
type Step = (invariant: Invariant) => void

const begins = (call: PlanCall, ms = 0): Step => told({ ms, what: 'begins', call, teller: '1.1' })
const answered = (call: PlanCall, answer: CallAnswer, ms = 1): Step =>
  told({ ms, what: 'is answered', call, teller: '1.1', answer })
function told(news: CallNews): Step {
  return invariant => invariant.call?.(news)
}
const applied =
  (op: string, args: readonly string[], more: Partial<Applied> = {}): Step =>
  invariant =>
    invariant.applied?.({ ...appliedOf(op, []), args, ...more })

describe('separation', () => {
  const writes = (...keys: string[]) =>
    reports(separation, asked, invariant => invariant.call?.({ ms: 0, what: 'develops', op: 'dev-cache', keys }))
  it('holds for writes to the keys of development, of whatever workflow, and for none', () => {
    expect(writes('oe:dev:{w}:out')).toEqual([])
    expect(writes()).toEqual([])
  })
  it.each(['oe:{w}:q:done', 'oe:{dev}:meta', 'oe:workflows', 'oe:dev:daemons'])('notices a write to %s', key => {
    expect(writes('oe:dev:{w}:out', key)).toHaveLength(1)
  })
})

describe('intake', () => {
  const post = (n: number, key?: string): CallOf<'post'> => {
    return { at: 0, n, kind: 'post', webhook: 'orders', ...(key === undefined ? {} : { key }) }
  }
  const history = (...steps: Step[]) => reports(intake, hooked, invariant => steps.map(step => step(invariant)))
  const queued = (call: CallOf<'post'>, body: JsonObject = bodyOf(call), queue = 'webhook_orders'): Step => {
    const data = { webhook: { webhook_id: 'orders', data: { body }, timestamp: 0 } }
    const line = encodeEntry(`e${call.n}`, 0, encodeItem({ id: `e${call.n}`, data, metadata: {} }))
    return invariant => invariant.applied?.(appliedOf('intake', [['in', `q:${queue}`, line]]))
  }
  const hears = (call: CallOf<'post'>, status: 'accepted' | 'full' | 'unknown') =>
    answered(call, { kind: 'post', status })

  it.each<[string, Step[]]>([
    ['one that is queued and accepted', [begins(post(1)), queued(post(1)), hears(post(1), 'accepted')]],
    ['one that is refused and not queued', [begins(post(1)), hears(post(1), 'full')]],
    ['one that is queued and never hears so', [begins(post(1)), queued(post(1))]],
    [
      'two with one key, which are one',
      [
        begins(post(1, 'k')),
        queued(post(1, 'k')),
        hears(post(1, 'k'), 'accepted'),
        begins(post(2, 'k')),
        hears(post(2, 'k'), 'accepted'),
      ],
    ],
    [
      'two with one key, of which the second finds room',
      [begins(post(1, 'k')), begins(post(2, 'k')), queued(post(2, 'k')), hears(post(1, 'k'), 'full')],
    ],
  ])('holds for %s', (_what, steps) => {
    expect(history(...steps)).toEqual([])
  })

  it.each<[string, Step[]]>([
    ['one that is accepted and in no queue', [begins(post(1)), hears(post(1), 'accepted')]],
    ['one that is queued twice', [begins(post(1)), queued(post(1)), queued(post(1))]],
    ['one that is queued and refused', [begins(post(1)), queued(post(1)), hears(post(1), 'full')]],
    ['one whose webhook is forgotten', [begins(post(1)), hears(post(1), 'unknown')]],
    ['one that comes otherwise than it was sent', [begins(post(1)), queued(post(1), { ...bodyOf(post(1)), n: 2 })]],
    ['one that nobody sent', [queued(post(1))]],
    ['one that goes to another queue', [begins(post(1)), queued(post(1), bodyOf(post(1)), 'webhook_other')]],
    ['two queued with one key', [begins(post(1, 'k')), queued(post(1, 'k')), queued(post(2, 'k'))]],
  ])('notices %s', (_what, steps) => {
    expect(history(...steps)).toHaveLength(1)
  })

  it('excuses what the server lost, and lets it be queued again', () => {
    const seen = reports(intake, hooked, invariant => {
      const back = invariant.save?.()
      for (const step of [begins(post(1)), queued(post(1))]) step(invariant)
      back?.()
      for (const step of [queued(post(1)), hears(post(1), 'accepted')]) step(invariant)
    })
    expect(seen).toEqual([])
  })
})

describe('answers', () => {
  const ask = (n: number): CallOf<'ask'> => ({ at: 0, n, kind: 'ask', timeoutMs: 2_000 })
  const history = (...steps: Step[]) => reports(answers, asked, invariant => steps.map(step => step(invariant)))
  const commits = (how: string, token = 't'): Step => applied('commit-request', [token, 'ask', how])
  const says = { workflow_id: 'w', run: 'request-t', execution_time_ms: 5 }
  const good = (n: number, more: object = {}): CallAnswer => {
    return { kind: 'ask', answer: { ...says, success: true, output: { mark: markOf(n) }, ...more } }
  }
  const bad = (code: string, more: object = {}): CallAnswer => {
    return { kind: 'ask', answer: { ...says, success: false, node_id: null, error: code, code, ...more } }
  }

  it.each<[string, Step[]]>([
    ['one that commits and is answered', [begins(ask(1)), commits('ok'), answered(ask(1), good(1))]],
    ['one that fails and is counted', [begins(ask(1)), commits('failed'), answered(ask(1), bad('NODE_FAILED'))]],
    [
      'one that runs out of time while it commits',
      [begins(ask(1)), commits('ok'), answered(ask(1), bad('API_TIMEOUT'))],
    ],
    [
      'one that Redis holds up',
      [begins(ask(1)), commits('ok'), answered(ask(1), good(1, { execution_time_ms: 40_000 }))],
    ],
    [
      'one that is refused because the daemon stops',
      [begins(ask(1)), answered(ask(1), { kind: 'refused', code: 'DRAINING' })],
    ],
    ['one whose daemon dies', [begins(ask(1)), told({ ms: 2, what: 'is cut off', call: ask(1), teller: '1.1' })]],
  ])('hold for %s', (_what, steps) => {
    expect(history(...steps)).toEqual([])
  })

  it.each<[string, Step[]]>([
    ['a second answer', [begins(ask(1)), commits('ok'), answered(ask(1), good(1)), answered(ask(1), good(1))]],
    ["another's answer", [begins(ask(1)), commits('ok'), answered(ask(1), good(2))]],
    ['one that has not committed', [begins(ask(1)), answered(ask(1), good(1))]],
    ['one that committed only that it failed', [begins(ask(1)), commits('failed'), answered(ask(1), good(1))]],
    [
      'one that failed and committed all the same',
      [begins(ask(1)), commits('ok'), answered(ask(1), bad('NODE_FAILED'))],
    ],
    ['a second commit', [begins(ask(1)), commits('ok'), commits('ok')]],
    [
      'one that took far too long',
      [begins(ask(1)), answered(ask(1), bad('API_TIMEOUT', { execution_time_ms: 70_000 }))],
    ],
    ['one that is refused for no reason', [begins(ask(1)), answered(ask(1), { kind: 'refused', code: 'BUG' })]],
  ])('notice %s', (_what, steps) => {
    expect(history(...steps)).toHaveLength(1)
  })

  it('excuse a commit that the server lost', () => {
    const seen = reports(answers, asked, invariant => {
      const back = invariant.save?.()
      for (const step of [begins(ask(1)), commits('ok')]) step(invariant)
      back?.()
      for (const step of [commits('ok'), answered(ask(1), good(1))]) step(invariant)
    })
    expect(seen).toEqual([])
  })
})

describe('development', () => {
  const run = (n: number, node: string): CallOf<'develop'> => ({ at: 0, n, kind: 'develop', node, session: 'a' })
  const says = (node: string, more: object): CallAnswer => {
    const always = { node_id: node, node_type: node === 'count' ? 'counter' : 'any', session_id: 'a', duration_ms: 1 }
    const answer = { ...always, input_data: {}, form_values: {}, success: true, output: {}, ...more }
    return { kind: 'develop', answer: answer as never }
  }
  const counted = (current: number) =>
    says('count', { output: { counter: { current, step: 1, direction: 'increment' } } })
  const none = says('third', { success: false, error_type: 'NO_INPUT' })
  const lost = answered(run(8, 'count'), says('count', { success: false, error_type: 'REDIS_LOADING' }))
  const own = answered(run(8, 'count'), says('count', { success: false, error_type: 'NODE_FAILED' }))
  const history = (...steps: Step[]) => reports(development, asked, invariant => steps.map(step => step(invariant)))
  const keeps = (node: string, ms: number): Step => applied('dev-cache', [`a\t${node}`, '0\n{}', '0'], { ms })
  const count = (n: number, current: number, ms: number): Step[] => [
    begins(run(n, 'count'), ms),
    answered(run(n, 'count'), counted(current), ms),
  ]
  /** Runs node "third", which comes after "out". */
  const third = (answer: CallAnswer, ms: number): Step[] => [
    begins(run(9, 'third'), ms),
    answered(run(9, 'third'), answer, ms),
  ]

  it.each<[string, Step[]]>([
    ['a session that counts on', [...count(1, 1, 0), ...count(2, 2, 10)]],
    ['one that may have counted when Redis failed', [...count(1, 1, 0), lost, ...count(2, 3, 10)]],
    ['one that had not when Redis failed', [...count(1, 1, 0), lost, ...count(2, 2, 10)]],
    ['one that was idle and begins anew', [...count(1, 5, 0), ...count(2, 1, 31 * 60_000)]],
    ['a node after one that ran', [keeps('out', 0), ...third(says('third', {}), 1_000)]],
    ['a node that nothing ran before', third(none, 0)],
    ['a node whose input has grown old', [keeps('out', 0), ...third(none, 1.1 * day)]],
    ['a node whose input has just or just not grown old', [keeps('out', 0), ...third(none, day - 3_600_000)]],
  ])('holds for %s', (_what, steps) => {
    expect(history(...steps)).toEqual([])
  })

  it.each<[string, Step[]]>([
    ['a session that counts the same again', [...count(1, 1, 0), ...count(2, 1, 10)]],
    ['a session that leaves one out', [...count(1, 1, 0), ...count(2, 3, 10)]],
    ['one that leaves two out when Redis failed once', [...count(1, 1, 0), lost, ...count(2, 4, 10)]],
    ['one that leaves one out when its node failed', [...count(1, 1, 0), own, ...count(2, 3, 10)]],
    ['another node than was asked for', [begins(run(1, 'out')), answered(run(1, 'out'), says('ask', {}))]],
    ['a node that runs on nothing', third(says('third', {}), 0)],
    ['a node that runs on what has grown old', [keeps('out', 0), ...third(says('third', {}), 1.1 * day)]],
    ['a node that does not see what is there', [keeps('out', 0), ...third(none, 1_000)]],
  ])('notices %s', (_what, steps) => {
    expect(history(...steps)).toHaveLength(1)
  })
})
