import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type SimulateOptions, SimulationFailed, simulate } from '../../sim/index.ts'
import { workflowOf } from './support.ts'

let out = ''
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'simulate-'))
})
afterAll(() => rm(out, { recursive: true }))

/** Ships what has an amount above zero, and asks about what is below: nobody thought of exactly zero. */
const shop = workflowOf(
  [
    ['in', 'queue-reader', { queue_name: 'orders' }],
    [
      'size',
      'switch',
      { cases: ['data.amount > 0', 'data.amount < 0'].map((condition, i) => ({ key: `k${i}`, condition })) },
    ],
    ['ship', 'queue-writer', { queue_name: 'ship' }],
    ['ask', 'queue-writer', { queue_name: 'ask' }],
  ],
  'in>size size>ship:k0 size>ask:k1',
)

const orders = fc.record({
  orders: fc.array(fc.record({ amount: fc.integer({ min: -3, max: 30 }) }), { maxLength: 20 }),
})

const failureOf = async (options: SimulateOptions) => {
  const failed = await simulate({ out, ...options }).catch((error: unknown) => error)
  expect(failed).toBeInstanceOf(SimulationFailed)
  return failed as SimulationFailed
}

const lostOrders = {
  workflow: shop,
  seeds: 60,
  arrivals: orders,
  check: ({ arrivals, queues }) => {
    const came = (queues.ship?.length ?? 0) + (queues.ask?.length ?? 0)
    if (came !== arrivals.orders?.length) throw new Error(`${arrivals.orders?.length} orders, ${came} came out`)
  },
} satisfies SimulateOptions

describe('simulate', () => {
  it('finds the order of exactly nothing, cuts to it, and repeats it', async () => {
    const failed = await failureOf(lostOrders)
    expect(failed.plan.files['arrivals-orders.jsonl']?.split('\n')).toHaveLength(1)
    expect(failed.plan.events).toEqual([])
    expect(failed.message).toContain('items for "orders": [{"amount":0}]')
    expect(failed.message).toContain('1 orders, 0 came out')
    const [, plan = ''] = /again: npx theoneeye sim --plan (\S+)/.exec(failed.message) ?? []
    expect(failed.plan.test).toBe('test/sim/library.test.ts')
    vi.stubEnv('THEONEEYE_PLAN', plan)
    vi.stubEnv('THEONEEYE_REPEATED', join(out, 'repeated.json'))
    const again = await failureOf(lostOrders).finally(() => vi.unstubAllEnvs())
    expect(again.plan.files).toEqual(failed.plan.files)
    const repeated = JSON.parse(await readFile(join(out, 'repeated.json'), 'utf8'))
    expect(repeated).toMatchObject({ failure: { invariant: 'check' }, stats: { commits: 2 } })
  })

  it('asks handlers, whatever crashes', async () => {
    const workflow = workflowOf(
      [
        ['in', 'queue-reader', { queue_name: 'orders' }],
        ['pay', 'http-request', { method: 'POST', url: 'https://pay.test/{{ data.id }}' }],
        ['done', 'queue-writer', { queue_name: 'done' }],
      ],
      'in>pay pay>done',
    )
    const done = await simulate({
      workflow,
      seeds: 5,
      faults: ['crash-before', 'crash-applied', 'reply-lost'],
      arrivals: { orders: [{ id: 'a' }, { id: 'b' }] },
      http: { 'POST https://pay.test/*': ({ url }) => ({ status: url.endsWith('b') ? 402 : 200 }) },
      check: ({ queues }) => {
        const statuses = queues.done?.map(({ http_request: answer }) => (answer as { status: number }).status)
        expect(statuses).toEqual([200, 402])
      },
    })
    expect(done.runs).toBe(5)
  })

  it.each([
    [() => false, 'it returned false'],
    [() => 'too few', 'too few'],
    [async () => Promise.reject(new Error('late')), 'late'],
  ])('takes %s for a failure', async (check, seen) => {
    const failed = await failureOf({ workflow: shop, arrivals: { orders: [{ amount: 1 }] }, seeds: 1, check })
    expect(failed.failure).toMatchObject({ invariant: 'check', seen })
  })

  const [once, never] = [
    { workflow: shop, seeds: 1, arrivals: { orders: [{ amount: 1 }] } },
    new Promise(() => undefined),
  ]
  it.each([
    [{ ...once, check: () => never, checkMsMax: 5 }, /"check" did not return within 5 ms/],
    [{ ...once, faults: ['flood'] as never }, /no kind of fault "flood"/],
    [{ ...once, workflow: 'nowhere.json' }, /Cannot read workflow "nowhere.json"/],
  ])('says what it was called with wrongly: %#', async (options, message) => {
    await expect(simulate({ out, ...options })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message),
    })
  })

  it('says of a check that loops for ever that it does', async () => {
    const script = `import { simulate } from './sim/index.ts'
      const workflow = ${JSON.stringify(shop)}
      await simulate({ workflow, seeds: 1, arrivals: { orders: [{ amount: 1 }] }, checkMsMax: 50, check: () => { for (;;); } })`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script])
    const said = await new Promise<string>(resolve => child.stderr.setEncoding('utf8').once('data', resolve))
    child.kill('SIGKILL')
    expect(said).toBe('simulate: "check" has not returned for 50 ms; does it loop for ever?\n')
  })

  test.prop([fc.array(fc.record({ amount: fc.integer({ min: 1, max: 9 }) }), { maxLength: 5 })], { numRuns: 5 })(
    'is driven by @fast-check/vitest',
    async list => {
      await simulate({
        workflow: shop,
        seeds: 2,
        arrivals: { orders: list },
        check: ({ queues }) => expect(queues.ship).toEqual(list.map(item => expect.objectContaining(item))),
      })
    },
  )
})
