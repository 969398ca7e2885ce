/** The traces of a daemon: files that turn and go, a disk that is too slow or fails, keys that are left out; and replay. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { TraceFolder, type TraceFolderOptions } from '../../daemon/trace-folder.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../engine/json.ts'
import { limits } from '../../engine/limits.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { readIteration, type TraceLine } from '../../engine/trace/trace.ts'
import { replayTrace } from '../../sim/replay.ts'
import { traceLines } from '../../sim/trace-lines.ts'
import { sketch } from '../support/engine-bench.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'

const registry = defaultRegistry()
const load = (id: string, max = 3) =>
  requireWorkflow(sketch({ id, nodes: { c: ['counter', { max_value: max }] }, edges: '' }), { registry, name: id })

function line(instance: string, iteration: number, more: object = {}): TraceLine {
  return {
    ...{ kind: 'iteration', time: 1, instance, run: 'run-1', loop: 'c', replica: 0, iteration, key: `k${iteration}` },
    ...{ prefix: 'p', entry: null, reads: { state: {}, runtime: {} }, clock: {}, calls: [], steps: [] },
    ...{ outcome: { as: 'ok' }, writes: { state: {}, runtime: {}, delays: [], pushes: [] }, ...more },
  } as TraceLine
}

const none = { state: {}, runtime: {}, delays: [], pushes: [] }
const answering = (headers: JsonObject) => ({ ...none, response: { status: 200, headers, body: null } })
const claimed = (data: JsonObject) => ({
  ...{ key: 'k.0', enqueuedAt: 0, suspect: false, charges: 0, queue: 'q', item: { id: 'i', data, metadata: {} } },
})

function bench(given: Partial<TraceFolderOptions> = {}) {
  const dir = tempDir()
  let [nowMs, nonces] = [1_767_225_600_000, 0]
  const trouble: string[] = []
  const options: TraceFolderOptions = {
    ...{ dir, bytesMax: 1e9, ageMsMax: 1e9, keep: 10, redact: [] },
    clock: { now: () => nowMs, monotonic: () => nowMs } as TraceFolderOptions['clock'],
    random: { draw: () => 0, nonce: () => `n${nonces++}xx` },
    onTrouble: message => void trouble.push(message),
    ...given,
  }
  const folder = new TraceFolder(options)
  const pass = (ms: number): void => {
    nowMs += ms
  }
  const files = () => readdirSync(dir).sort()
  const read = (name: string) =>
    readFileSync(join(dir, name), 'utf8')
      .trimEnd()
      .split('\n')
      .map(text => JSON.parse(text) as JsonObject)
  onTestFinished(() => folder.close())
  return { dir, folder, pass, files, read, trouble }
}

describe('TraceFolder', () => {
  it('has a file for each definition, whose first line is its header', async () => {
    const { folder, files, read } = bench()
    folder.recordOf(load('a'))(line('x', 1))
    folder.recordOf(load('b'))(line('x', 1))
    folder.recordOf(load('a', 4))(line('y', 1))
    folder.recordOf(load('a'))(line('x', 2))
    await folder.close()
    const lines = files().map(name => [
      name.split('.')[0],
      read(name).map(({ kind, iteration = '' }) => `${kind}${iteration}`),
    ])
    expect(lines.sort()).toEqual([
      ['a', ['header', 'iteration1']],
      ['a', ['header', 'iteration1', 'iteration2']],
      ['b', ['header', 'iteration1']],
    ])
  })

  it('turns to another file when one has grown, where only new chapters begin; the oldest go', async () => {
    const { folder, files, read, pass } = bench({ bytesMax: 2_000, keep: 2 })
    const record = folder.recordOf(load('a'))
    for (let i = 1; i <= 10; i++) record(line('x', i))
    pass(1)
    record(line('y', 11))
    record(line('x', 12))
    pass(3 * limits.chapterMs)
    record(line('y', 13))
    for (let i = 0; i < 10; i++) record(line(`z${i}`, 14 + i))
    await folder.close()
    const names = files()
    // the newest ones; each may have grown by what was begun before
    expect(names).toHaveLength(2)
    const held = names.map(name =>
      [
        ...new Set(
          read(name)
            .slice(1)
            .map(({ instance }) => instance),
        ),
      ].join(),
    )
    expect(held.at(-1)).toMatch(/z9/)
  })

  it('turns to another file when one has become old', async () => {
    const { folder, files, read, pass } = bench({ ageMsMax: 3_600_000 })
    const record = folder.recordOf(load('a'))
    record(line('x', 1))
    pass(3_600_001)
    record(line('x', 2))
    record(line('y', 3))
    await folder.close()
    expect(files().map(name => read(name).map(({ iteration = 0 }) => iteration))).toEqual([
      [0, 1, 2],
      [0, 3],
    ])
  })

  it('keeps a chapter together, whatever turns meanwhile', async () => {
    const { folder, files, read, pass } = bench({ bytesMax: 2_000 })
    const record = folder.recordOf(load('a'))
    for (let i = 1; i <= 10; i++) record(line('x', i))
    pass(1)
    record(line('y', 11))
    record(line('x', 12))
    await folder.close()
    const held = files().map(name => read(name).map(({ kind, instance = '' }) => `${kind} ${instance}`.trim()))
    expect(held).toEqual([
      ['header', ...Array.from({ length: 11 }, () => 'iteration x')],
      ['header', 'iteration y'],
    ])
  })

  it('leaves whole iterations out when the disk cannot follow, and says how many', async () => {
    const { folder, files, read } = bench({ waitingMax: 3_000 })
    const record = folder.recordOf(load('a'))
    for (let i = 1; i <= 100; i++) record(line('x', i))
    await new Promise(resolve => setTimeout(resolve))
    await folder.close()
    const lines = read(files()[0] as string)
    const iterations = lines.filter(({ kind }) => kind === 'iteration')
    expect(iterations.length).toBeLessThan(100)
    expect(lines.at(-1)).toMatchObject({ kind: 'gap', instance: 'x', iterations: 100 - iterations.length })
  })

  it('goes on without traces when the disk fails, says so once, and tries again after a while', async () => {
    const { folder, files, read, pass, trouble, dir } = bench()
    const record = folder.recordOf(load('a'))
    rmSync(dir, { recursive: true })
    record(line('x', 1))
    await vi.waitFor(() => expect(trouble).toHaveLength(1))
    for (let i = 2; i <= 50; i++) record(line('x', i))
    mkdirSync(dir)
    record(line('x', 51))
    expect(files()).toEqual([])
    pass(60_000)
    record(line('x', 52))
    await folder.close()
    expect(trouble).toEqual([expect.stringMatching(/^the trace ".*" ends here: ENOENT/)])
    const [name = ''] = files()
    expect(read(name).map(({ kind, iterations = 0 }) => [kind, iterations])).toEqual([
      ['header', 0],
      ['gap', 50],
      ['iteration', 0],
    ])
  })

  it('refuses a folder that cannot be', () => {
    const file = join(tempDir(), 'file')
    writeFileSync(file, '')
    return expect(errorOf(() => bench({ dir: join(file, 'traces') }))).resolves.toMatchObject({ code: 'USAGE' })
  })

  it('leaves configured keys out wherever they stand, also in texts', async () => {
    const { folder, files, read } = bench({ redact: ['email', 'card.number'] })
    const item = { id: 'i', data: { email: 'a@b.test', card: { number: '4111', kind: 'x' }, number: 7 }, metadata: {} }
    const entry = { key: 'k.0', enqueuedAt: 0, suspect: false, charges: 0, queue: 'q', item }
    const writes = { state: { c: '{"email":"a@b.test","n":1}' }, runtime: {}, delays: [], pushes: [] }
    folder.recordOf(load('a'))(line('x', 1, { entry, writes }))
    await folder.close()
    const [, seen] = read(files()[0] as string)
    expect(seen).toMatchObject({
      entry: { item: { data: { email: '[redacted]', card: { number: '[redacted]', kind: 'x' }, number: 7 } } },
      writes: { state: { c: '{"email":"[redacted]","n":1}' } },
    })
    expect(JSON.stringify(seen)).not.toContain('a@b.test')
  })
})

describe('a key that the form of a trace has as well', () => {
  it('is left out of items only, and the trace stays readable', async () => {
    const names = ['data', 'item', 'entry', 'steps', 'set', 'writes', 'queue', 'response', 'at', 'state']
    const { folder, files, read } = bench({ redact: names })
    const item = { id: 'i', data: { data: 'secret', set: { at: 1 }, n: 2 }, metadata: {} }
    const entry = { key: 'k.0', enqueuedAt: 0, suspect: false, charges: 0, queue: 'q', item }
    const steps = [{ at: 'c', did: 'complete', set: { queue: 'secret' }, unset: [], route: 'default' }]
    folder.recordOf(load('a'))(line('x', 1, { entry, steps }))
    await folder.close()
    const [, seen] = read(files()[0] as string)
    expect(seen).toMatchObject({
      entry: { item: { data: { data: '[redacted]', set: '[redacted]', n: 2 } } },
      steps: [{ at: 'c', set: { queue: '[redacted]' } }],
    })
    expect(readIteration(seen as JsonObject, { name: 't', line: 2 })).toBeDefined()
  })
})

describe('a key that is left out', () => {
  const error = { name: 'Error', code: 'NODE_FAILED', message: '{"email":"a@b.test"}' }

  it.each([
    ['below the key that holds it in the form', ['data.email'], { entry: claimed({ email: 'a@b.test' }) }],
    ['in the message of an error that is JSON', ['email'], { outcome: { as: 'failed', node: 'c', error } }],
    ['in the headers of an answer', ['set-cookie'], { writes: answering({ 'set-cookie': 'a@b.test' }) }],
    ['as a variable', ['email'], { writes: { ...none, runtime: { email: '"a@b.test"' } } }],
    ['as a variable that was read', ['email'], { reads: { state: {}, runtime: { email: '"a@b.test"' } } }],
  ])('is left out %s, and the trace stays readable', async (_, redact, more) => {
    const { folder, files, read } = bench({ redact })
    folder.recordOf(load('a'))(line('x', 1, more))
    await folder.close()
    const [, seen] = read(files()[0] as string)
    expect(JSON.stringify(seen)).not.toContain('a@b.test')
    expect(JSON.stringify(seen)).toContain('[redacted]')
    expect(readIteration(seen as JsonObject, { name: 't', line: 2 })).toBeDefined()
  })
})

describe('replay of a trace with a gap', () => {
  it('leaves the rest of that chapter out, and replays the others', async () => {
    const { folder, files, dir } = bench()
    const record = folder.recordOf(load('a'))
    record(line('x', 1))
    await folder.close()
    const path = join(dir, files()[0] as string)
    const gap = { kind: 'gap', time: 1, instance: 'x', iterations: 3 }
    writeFileSync(
      path,
      `${readFileSync(path, 'utf8')}${[gap, line('x', 5), line('x.2', 6)].map(each => JSON.stringify(each)).join('\n')}\n`,
    )
    const report = await replayTrace(traceLines(path), path, { registry, onVerdict: () => undefined })
    expect(report).toMatchObject({ iterations: 2, unreplayable: 1 })
  })
})
