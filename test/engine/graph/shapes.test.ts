import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import { type Shape, shapeOf, toShape } from '../../../engine/graph/shapes.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import { repository } from '../../support/cli.ts'

const shapes: Shape[] = ['react-flow', 'rawconfig', 'canvas-data']
const registry = defaultRegistry()
const hashOf = (file: JsonObject) => requireWorkflow(file, { registry, name: 'w' }).hash
const fixture = (shape: Shape) =>
  JSON.parse(readFileSync(join(repository, `fixtures/workflows/shape-${shape}.json`), 'utf8')) as JsonObject

describe('the fixtures of the three shapes', () => {
  it.each(shapes)('%s is known as what it is', shape => expect(shapeOf(fixture(shape))).toBe(shape))

  it.each(shapes.flatMap(from => shapes.map(to => [from, to] as const)))('%s becomes %s', (from, to) => {
    const turned = toShape(fixture(from), to)
    expect(shapeOf(turned)).toBe(to)
    expect(hashOf(turned)).toBe(hashOf(fixture(from)))
    expect(toShape(toShape(turned, from), to)).toEqual(turned)
  })

  it.each(shapes)('%s becomes itself, but for the ids that were numbers', shape => {
    const text = JSON.stringify(fixture(shape)).replaceAll(/"(id|source_node|target_node)":(\d+)/g, '"$1":"$2"')
    expect(toShape(fixture(shape), shape)).toMatchObject(JSON.parse(text))
  })
})

describe('toShape', () => {
  const word = fc.constantFrom('a', 'b', 'label', 'config', 'form', 'x', 'icon', 'output', 'name', '__proto__')
  const odds = fc.dictionary(word, fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.constant({ deep: [1] })))
  const node = fc.record({
    id: fc.constantFrom('c', 'l'),
    position: fc.record({ x: fc.integer(), y: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
    data: odds.map(({ form: _form, config: _config, node_type: _type, ...rest }) => ({
      ...rest,
      form: {},
      config: {},
    })),
    extra: odds,
  })
  const flow = fc
    .record({
      first: node,
      last: node,
      edge: odds.map(({ id: _, ...rest }) => rest),
      type: fc.constantFrom('production'),
      env: odds,
      extra: odds,
      handle: fc.constantFrom(null, '', 'Default', 'default', undefined),
    })
    .map(({ first, last, edge, type, env, extra, handle }) => ({
      ...{ id: 'w', name: 'W', type, env, settings: { queues: { max_length: 3 } }, extra },
      nodes: [
        { ...first, id: 'c', type: 'counter' },
        { ...last, id: 'l', type: 'log' },
      ],
      edges: [
        { ...edge, id: 'e', source: 'c', target: 'l', ...(handle === undefined ? {} : { sourceHandle: handle }) },
      ],
    }))
    .map(file => JSON.parse(JSON.stringify(file)) as JsonObject)

  test.prop([flow, fc.shuffledSubarray(shapes)])('loses nothing on any way there and back', (file, way) => {
    const there = way.reduce(toShape, file)
    expect(hashOf(there)).toBe(hashOf(file))
    expect(toShape(there, 'react-flow')).toEqual(file)
  })

  test.prop([fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(...shapes)])('never throws', (file, shape) => {
    toShape(file as JsonObject, shape)
    const lists = { nodes: Object.values(file), edges: Object.values(file) }
    toShape(lists as JsonObject, shape)
  })

  it('names edges that have no id by their ends, and so the same each time', () => {
    const file = {
      nodes: [],
      connections: [
        { source_node: 1, target_node: 2 },
        { source_node: 1, target_node: 2, source_handle: 'yes' },
      ],
    }
    expect(toShape(file, 'react-flow').edges).toMatchObject([{ id: '1>2' }, { id: '1:yes>2' }])
  })
})
