/** `run`, `queue` and `dlq` over the main job: real processes, the embedded Redis, a folder of their own. */
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../engine/json.ts'
import { type CliResult, cli, repository, temporaryFolder } from '../support/cli.ts'

const orders = join(repository, 'fixtures/orders/orders.json')

/** Of the 200 orders in the file. */
const expected = { orders: 200, broken: 14, good: 186 }

function ordersFolder(): string {
  const cwd = temporaryFolder()
  copyFileSync(join(repository, 'fixtures/orders/orders.csv'), join(cwd, 'orders.csv'))
  return cwd
}

function runOrders(cwd: string, ...more: string[]): Promise<CliResult> {
  return cli(['run', orders, '--files', cwd, ...more], { cwd })
}

const never = {
  id: 'never',
  nodes: [{ id: 't', type: 'timer', data: { form: { interval: 1, unit: 'hours' } } }],
  edges: [],
}

function neverFolder(): string {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'never.json'), JSON.stringify(never))
  return cwd
}

function loopsOf(summary: JsonObject | undefined): Record<string, Record<string, number>> {
  return summary?.loops as Record<string, Record<string, number>>
}

async function peek(cwd: string, queue: string): Promise<JsonObject[]> {
  return (await cli(['queue', 'peek', 'orders', queue, '--json'], { cwd })).lines
}

/** The order numbers that ended somewhere: as a file, or waiting for a person. */
async function settled(cwd: string): Promise<string[]> {
  const all = ['express', 'standard'].flatMap(lane => readdirSync(join(cwd, 'results', lane)))
  // kill -9 in the middle of a write leaves its scratch file behind; the file itself is whole or not there
  const files = all.filter(name => name.endsWith('.json'))
  const waiting = await peek(cwd, 'approval')
  const numbers = waiting.map(item => ((item.data as JsonObject).order as JsonObject).order_id as string)
  return [...files.map(name => name.replace('.json', '')), ...numbers].sort()
}

describe('the main job', () => {
  it('ends as it should, with the events and the summary of the contract', async () => {
    const cwd = ordersFolder()
    const { code, lines, stderr } = await runOrders(cwd, '--json', '--allow-dead-letters')
    expect(code, stderr).toBe(0)
    const summary = lines.at(-1)
    expect(summary).toMatchObject({ type: 'summary', workflow_id: 'orders', status: 'completed' })
    expect(summary?.duration).toBeTypeOf('number')
    const loops = loopsOf(summary)
    expect(loops['read-orders']).toEqual({
      iterations: expected.orders,
      failed: expected.broken,
      dead_letters: expected.broken,
    })
    const taken = ['take-review', 'take-express', 'take-standard'].map(id => loops[id]?.iterations ?? 0)
    expect(taken.reduce((a, b) => a + b)).toBe(expected.good)
    expect(new Set(await settled(cwd)).size).toBe(expected.good)
    expectEvents(lines)
  })

  it('fails when there are dead letters and nobody allowed them', async () => {
    const { code, stdout } = await runOrders(ordersFolder())
    expect(code).toBe(1)
    expect(stdout).toMatch(/loop +iterations +items in +items out +failures +dead letters +items\/s/)
    expect(stdout).toMatch(/completed after/)
    expect(stdout).toMatch(/npx theoneeye dlq list orders/)
    expect(stdout).toMatch(/npx theoneeye queue peek orders approval/)
  })

  it('starts anew after it completed, and with --fresh', async () => {
    const cwd = ordersFolder()
    const runs = []
    for (const more of [[], [], ['--fresh']]) {
      const { lines } = await runOrders(cwd, '--json', ...more)
      expect(loopsOf(lines.at(-1))['read-orders']?.iterations).toBe(expected.orders)
      runs.push(lines.at(-1)?.run)
    }
    expect(new Set(runs).size).toBe(3)
  })

  it.each([1, 60, 150, 260])('killed after %i iterations, goes on and loses or doubles nothing', async n => {
    const cwd = ordersFolder()
    let seen = 0
    const killed = await cli(['run', orders, '--files', cwd, '--json'], {
      cwd,
      onOutput: (text, pid) => {
        seen += text.split('"iteration_completed"').length - 1
        if (seen >= n) kill(pid)
      },
    })
    const resumed = await runOrders(cwd, '--json')
    const summary = resumed.lines.at(-1)
    expect(summary).toMatchObject({ type: 'summary', status: 'completed' })
    // A kill that came after the end leaves nothing to resume; then the second run is a whole new one.
    const wasWhole = killed.lines.at(-1)?.type === 'summary'
    const approvals = await peek(cwd, 'approval')
    const numbers = approvals.map(item => ((item.data as JsonObject).order as JsonObject).order_id)
    if (!wasWhole) expect(new Set(numbers).size).toBe(numbers.length)
    expect(new Set(await settled(cwd)).size).toBe(expected.good)
    expect(loopsOf(summary)['read-orders']?.iterations).toBe(expected.orders)
  })
})

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended by itself
  }
}

function expectEvents(lines: readonly JsonObject[]): void {
  const common = { time: expect.any(Number), workflow_id: 'orders', run: expect.any(String) }
  const inLoop = { ...common, loop: expect.any(String) }
  const inIteration = { ...inLoop, iteration: expect.any(Number) }
  const atNode = { ...inIteration, node_id: expect.any(String), node_type: expect.any(String) }
  const shapes: Record<string, object> = {
    workflow_started: common,
    loop_started: inLoop,
    iteration_started: inIteration,
    node_started: atNode,
    node_completed: { ...atNode, duration: expect.any(Number) },
    node_skipped: atNode,
    node_failed: { ...atNode, error: expect.objectContaining({ code: expect.any(String) }) },
    iteration_completed: inIteration,
    iteration_failed: { ...inIteration, error: expect.objectContaining({ code: expect.any(String) }) },
    dead_letter: { ...inLoop, item: expect.any(Object), node: expect.any(String) },
    loop_completed: inLoop,
    workflow_completed: common,
  }
  const types = new Set<Json | undefined>()
  for (const line of lines.slice(0, -1)) {
    types.add(line.type)
    expect(line).toMatchObject(shapes[line.type as string] ?? { type: 'known' })
  }
  expect([...types].sort()).toEqual(Object.keys(shapes).sort())
  const routes = lines.filter(line => line.node_id === 'choose-lane' && line.type === 'node_completed')
  expect(new Set(routes.map(line => line.route))).toEqual(new Set(['review', 'express', 'default']))
}

describe('queue and dlq', () => {
  let cwd = ''
  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'theoneeye-dlq-'))
    copyFileSync(join(repository, 'fixtures/orders/orders.csv'), join(cwd, 'orders.csv'))
    await runOrders(cwd, '--allow-dead-letters')
    return () => rmSync(cwd, { recursive: true, force: true })
  })
  const at = (...args: string[]): Promise<CliResult> => cli(args, { cwd })

  it('queue list --json has the shape of the contract', async () => {
    const { lines } = await at('queue', 'list', 'orders', '--json')
    const approval = lines.find(line => line.name === 'approval')
    expect(approval).toEqual({
      name: 'approval',
      length: expect.any(Number),
      claimed: 0,
      oldest_age: expect.any(Number),
    })
    expect(lines).toContainEqual({ name: 'express', length: 0, claimed: 0, oldest_age: null })
  })

  it('queue peek shows the oldest first and takes nothing', async () => {
    const [first, second] = [await peek(cwd, 'approval'), await peek(cwd, 'approval')]
    expect(first).toEqual(second)
    expect(Object.keys(first[0] ?? {}).sort()).toEqual(['data', 'enqueued_at', 'id', 'metadata'])
    const one = await at('queue', 'peek', 'orders', 'approval', '--json', '--limit', '1')
    expect(one.lines).toEqual(first.slice(0, 1))
  })

  it('queue peek takes the workflow file for its id', async () => {
    const { lines } = await at('queue', 'peek', orders, 'approval', '--json')
    expect(lines).toEqual(await peek(cwd, 'approval'))
  })

  it('queue push appends one object, JSON Lines, a file; purge removes them', async () => {
    const before = (await peek(cwd, 'approval')).length
    writeFileSync(join(cwd, 'more.jsonl'), '{"n":4}\n\n{"n":5}\n')
    for (const data of ['{"n":1}', '{"n":2}\n{"n":3}', '@more.jsonl']) {
      const { code, stderr } = await at('queue', 'push', 'orders', 'approval', '--data', data)
      expect(code, stderr).toBe(0)
    }
    const items = (await peek(cwd, 'approval')).slice(before)
    expect(items.map(item => item.data)).toEqual([1, 2, 3, 4, 5].map(n => ({ n })))
    const purged = await at('queue', 'purge', 'orders', 'approval', '--json')
    expect(purged.lines).toEqual([{ type: 'purged', queue: 'approval', count: before + 5 }])
    expect(await peek(cwd, 'approval')).toEqual([])
  })

  it.each([
    [['queue', 'peek', 'orders', 'aproval'], /aproval.*"approval"/],
    [['queue', 'peek', 'nobody', 'q'], /nobody/],
    [['queue', 'push', 'orders', 'approval', '--data', '{"a":1}\n[2]'], /line 2/],
    [['queue', 'push', 'orders', 'approval', '--data', '@nowhere'], /nowhere/],
    [['dlq', 'show', 'orders', 'nothing'], /nothing/],
    [['dlq', 'requeue', 'orders', 'nothing'], /nothing/],
  ])('%j is refused with 2', async (args, says) => {
    const { code, stderr } = await at(...args)
    expect(code).toBe(2)
    expect(stderr).toMatch(says)
  })

  it('dlq list --json has the record without its stack; show has it all', async () => {
    const { lines } = await at('dlq', 'list', 'orders', '--json')
    expect(lines).toHaveLength(expected.broken)
    const [first] = lines
    const keys = 'id time workflow run loop iteration node node_type error item deliveries trace_id'.split(' ')
    expect(Object.keys(first ?? {})).toEqual(expect.arrayContaining(keys))
    expect(first).toMatchObject({
      workflow: 'orders',
      loop: 'read-orders',
      node: 'price-order',
      node_type: 'data-transformer',
    })
    expect(Object.keys(first?.error as JsonObject).sort()).toEqual(['code', 'message', 'name'])
    const shown = await at('dlq', 'show', 'orders', first?.id as string, '--json')
    expect(shown.lines[0]).toMatchObject(first as object)
  })

  it('dlq requeue puts an item back once; purge drops the rest', async () => {
    const { lines } = await at('dlq', 'list', 'orders', '--json')
    const id = lines[0]?.id as string
    const requeued = await at('dlq', 'requeue', 'orders', id, '--json')
    expect(requeued.lines).toEqual([{ type: 'requeued', id, queue: 'requeue_read-orders' }])
    expect((await at('dlq', 'requeue', 'orders', id)).code).toBe(2)
    const purged = await at('dlq', 'purge', 'orders', '--json')
    expect(purged.lines).toEqual([{ type: 'purged', count: lines.length - 1 }])
    expect((await at('dlq', 'list', 'orders', '--json')).lines).toEqual([])
  })
})

describe('run stops', () => {
  it('when there was nothing to do for --until-idle, with success', async () => {
    const { code, lines, stderr } = await cli(['run', 'never.json', '--until-idle', '0.2', '--json'], {
      cwd: neverFolder(),
    })
    expect(code, stderr).toBe(0)
    expect(lines.at(-1)).toMatchObject({ type: 'summary', status: 'stopped' })
  })

  it('after --timeout, with failure', async () => {
    const { code, lines, stderr } = await cli(['run', 'never.json', '--timeout', '0.2', '--json'], {
      cwd: neverFolder(),
    })
    expect(code, stderr).toBe(1)
    expect(lines.at(-1)).toMatchObject({ type: 'summary', status: 'stopped' })
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('on %s, draining, with success; started again it resumes', async signal => {
    const cwd = neverFolder()
    let sent = false
    const { code, lines, stderr } = await cli(['run', 'never.json', '--json'], {
      cwd,
      onOutput: (text, pid) => {
        if (sent || !text.includes('loop_started')) return
        sent = true
        process.kill(pid, signal)
      },
    })
    expect(code, stderr).toBe(0)
    expect(lines.at(-1)).toMatchObject({ type: 'summary', status: 'stopped' })
    const again = await cli(['run', 'never.json', '--until-idle', '0.2', '--json'], { cwd })
    expect(again.lines[0]).toMatchObject({ type: 'workflow_started', resumed: true })
  })

  it('before it begins when the data directory is in use', async () => {
    const cwd = neverFolder()
    const lister: { result?: Promise<CliResult> } = {}
    await cli(['run', 'never.json', '--json'], {
      cwd,
      onOutput: (text, pid) => {
        if (lister.result !== undefined || !text.includes('loop_started')) return
        lister.result = cli(['queue', 'list', 'never'], { cwd })
        void lister.result.finally(() => kill(pid))
      },
    })
    const result = await lister.result
    expect(result?.code).toBe(2)
    expect(result?.stderr).toMatch(/process \d+ holds.*--data/)
  })
})

describe('a changed workflow', () => {
  it('is refused, adopted or begun anew', async () => {
    const cwd = neverFolder()
    const run = (...more: string[]): Promise<CliResult> =>
      cli(['run', 'never.json', '--until-idle', '0.1', '--json', ...more], { cwd })
    await run()
    const [timer] = never.nodes
    const changed = { ...never, nodes: [{ ...timer, data: { form: { interval: 2, unit: 'hours' } } }] }
    writeFileSync(join(cwd, 'never.json'), JSON.stringify(changed))
    const refused = await run()
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    expect(refused.stderr).toMatch(/--adopt.*--fresh/)
    expect((await run('--adopt')).code).toBe(0)
    writeFileSync(join(cwd, 'never.json'), JSON.stringify(never))
    expect((await run('--fresh')).code).toBe(0)
  })
})
