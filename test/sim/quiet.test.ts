import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { startFlowEngine } from '../../sim/instance.ts'
import { simulate } from '../../sim/world.ts'
import { planOf, subjectOf, twoLoops } from './support.ts'

it('what was being read before a simulation began is no escape from it', async () => {
  const { graph, expected } = await subjectOf(twoLoops(1))
  let read = 0
  const reading = (async () => {
    for (; read < 30; read++) await readFile(import.meta.filename)
  })()
  const { failure } = await simulate({
    plan: planOf(twoLoops(1)),
    graph,
    expected,
    startEngine: startFlowEngine,
    trace: 'recent',
  })
  expect({ failure, read }).toEqual({ failure: undefined, read: 30 })
  await reading
})
