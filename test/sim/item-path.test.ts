import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hashText } from '../../engine/hash.ts'
import type { IterationLine } from '../../engine/trace/trace.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { ItemPath, pathThrough } from '../../sim/item-path.ts'
import { recording } from '../../sim/recording.ts'
import { findIteration } from '../../sim/to-scenario.ts'
import { simulate } from '../../sim/world.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'
import { planOf, subjectOf, twoLoops } from './support.ts'

async function recorded(): Promise<IterationLine[]> {
  const [plan, subject] = [planOf(twoLoops(4)), await subjectOf(twoLoops(4))]
  const { startEngine, lines } = recording(plan, startFlowEngine)
  await simulate({ plan, ...subject, startEngine, trace: 'recent' })
  return lines.map(line => JSON.parse(line) as IterationLine).filter(({ kind }) => kind === 'iteration')
}

function pathOf(id: string, lines: readonly IterationLine[]): string[] {
  const path = new ItemPath(id)
  return lines.filter(line => path.has(line)).map(({ loop, iteration }) => `${loop} ${iteration}`)
}

describe('the path of an item', () => {
  it('leads from where it was made through every loop, and meets no other item', async () => {
    const lines = await recorded()
    const made = lines.find(({ loop, iteration }) => loop === 'count' && iteration === 3) as IterationLine
    expect(pathOf(hashText(made.key), lines)).toEqual(['count 3', 'in 3'])
    expect(pathOf('nobody', lines)).toEqual([])
  })

  it('goes on when a node gives what it makes of it another id', async () => {
    const lines = await recorded()
    const made = lines.find(({ loop, iteration }) => loop === 'count' && iteration === 2) as IterationLine
    const renamed = lines.map(line => {
      const { entry } = line
      return entry === null ? line : { ...line, entry: { ...entry, item: { ...entry.item, id: 'another' } } }
    })
    expect(pathOf(hashText(made.key), renamed)).toEqual(['count 2', 'in 2'])
  })
})

const header = JSON.stringify({
  kind: 'header',
  format: 1,
  engine: '0',
  source: 'recorded',
  workflow: { id: 'w', nodes: [], edges: [] },
  hash: 'h',
})

/** Trace files, each with a header. */
function files(traces: Record<string, readonly (object | string)[]>): string[] {
  const dir = tempDir()
  return Object.entries(traces).map(([name, lines]) => {
    const path = join(dir, name)
    const texts = lines.map(line => (typeof line === 'string' ? line : JSON.stringify(line)))
    writeFileSync(path, [header, ...texts].map(text => `${text}\n`).join(''))
    return path
  })
}

function told(path: ItemPath, lines: readonly IterationLine[]): string[] {
  return lines.filter(line => path.has(line)).map(({ loop, iteration }) => `${loop} ${iteration}`)
}

describe('the path of an item through traces of several daemons', () => {
  it('leads on into a file that comes first by its name', async () => {
    const lines = await recorded()
    const of = (loop: string) => lines.filter(line => line.loop === loop)
    const made = of('count').find(({ iteration }) => iteration === 3) as IterationLine
    const path = await pathThrough(files({ 'a.jsonl': of('in'), 'b.jsonl': of('count') }), hashText(made.key))
    expect(told(path, lines)).toEqual(['count 3', 'in 3'])
    expect(told(new ItemPath(path.known), lines.toReversed())).toEqual(['in 3', 'count 3'])
  })

  it('of a dead letter is that of its item, also after it was requeued', async () => {
    const lines = await recorded()
    const failing = lines.find(({ loop, iteration }) => loop === 'in' && iteration === 2) as IterationLine
    const error = { name: 'Error', code: 'NODE_FAILED', message: 'no' }
    const failed: IterationLine = { ...failing, outcome: { as: 'failed', node: 'n', error } }
    const requeued: IterationLine = { ...failing, time: failing.time + 1, iteration: 9, key: 'r', prefix: 'rp' }
    const all = lines.flatMap(line => (line === failing ? [failed, requeued] : [line]))
    const path = await pathThrough(files({ 'a.jsonl': all.toReversed() }), `dl-${failing.key}`)
    expect(told(path, all)).toEqual(['count 2', 'in 2', 'in 9'])
  })
})

describe('findIteration', () => {
  it('prefers what failed to what did not, and of those the last, in whatever order files are read', async () => {
    const lines = await recorded()
    const [first, last] = lines.filter(({ loop }) => loop === 'in') as [IterationLine, IterationLine]
    const again = { ...last, entry: first.entry }
    const traces = files({ 'a.jsonl': [again], 'b.jsonl': [first] })
    const found = await findIteration(traces, { item: first.entry?.item.id as string })
    expect([found?.file, found?.line.iteration]).toEqual([traces[0], again.iteration])
  })

  it('reads as all who read a trace do: a cut-off last line is left out, any other refused', async () => {
    const [line] = await recorded()
    const error = { name: 'Error', code: 'NODE_FAILED', message: 'no' }
    const failed = { ...line, key: 'a.1', outcome: { as: 'failed', node: 'n', error } }
    const find = (lines: readonly (object | string)[]) => findIteration(files({ t: lines }), { deadLetter: 'dl-a.1' })
    expect(await find([failed, '{"kind": "iter'])).toMatchObject({ line: { key: 'a.1' } })
    expect(await errorOf(() => find(['{"kind": "iter', failed]))).toMatchObject({ code: 'USAGE' })
  })
})
