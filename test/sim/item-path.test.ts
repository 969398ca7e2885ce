import { describe, expect, it } from 'vitest'
import { hashText } from '../../engine/hash.ts'
import type { IterationLine } from '../../engine/trace/trace.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { ItemPath } from '../../sim/item-path.ts'
import { recording } from '../../sim/recording.ts'
import { simulate } from '../../sim/world.ts'
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
