import { describe, expect, it } from 'vitest'
import type { Json } from '../../../engine/json.ts'
import { compileForm, defineForm } from '../../../engine/node/form.ts'
import {
  BlockingNode,
  type NodeClass,
  type NodeOutput,
  type Produced,
  ProducerNode,
} from '../../../engine/node/node.ts'
import { defaultRegistry, NodeRegistry } from '../../../engine/node/node-registry.ts'

class Good extends BlockingNode {
  static override identifier = 'good-node'
  static override aliases: readonly string[] = ['fine-node']
  static override form = defineForm({})
  async execute(input: NodeOutput): Promise<NodeOutput> {
    return input
  }
}

/** A copy of Good with some static fields set otherwise. */
function variant(statics: Record<string, unknown>): NodeClass {
  class Variant extends Good {
    static override identifier = 'variant'
    static override aliases: readonly string[] = []
  }
  return Object.assign(Variant, statics) as unknown as NodeClass
}

const formless = class extends BlockingNode {
  static override identifier = 'formless'
  async execute(input: NodeOutput): Promise<NodeOutput> {
    return input
  }
}

describe('NodeRegistry', () => {
  const lies: [string, readonly NodeClass[], string][] = [
    ['no identifier', [variant({ identifier: '' })], 'its name "" is not kebab-case'],
    ['identifier in another case', [variant({ identifier: 'goodNode' })], '"goodNode" is not kebab-case'],
    ['alias with an underscore', [variant({ aliases: ['good_node2'] })], '"good_node2" is not kebab-case'],
    ['unknown kind', [variant({ kind: 'maybe' })], 'its kind is "maybe"; it must be one of producer, blocking'],
    ['kind of another base class', [variant({ kind: 'producer' })], 'its base class is for kind "blocking"'],
    ['unknown pool', [variant({ pool: 'gpu' })], 'its pool is "gpu"'],
    ['unknown effects', [variant({ effects: 'many' })], 'its effects is "many"'],
    ['a claim without being a producer', [variant({ source: 'claimed' })], 'only a producer can claim'],
    ['no form', [formless], '"formless": it has no form'],
    ['the same class twice', [Good, Good], 'its name "good-node" is taken by class Good'],
    ['an alias that is taken', [Good, variant({ aliases: ['good-node'] })], 'its name "good-node" is taken'],
  ]
  it.each(lies)('refuses %s', (_name, classes, message) => {
    expect(() => new NodeRegistry(classes)).toThrowError(
      expect.objectContaining({ code: 'NODE_CLASS_INVALID', message: expect.stringContaining(message) }),
    )
  })

  it('accepts a kind that a custom base class declares for its own subclasses', () => {
    class Custom extends ProducerNode {
      static override identifier = 'custom'
      static override form = defineForm({})
      async execute(input: NodeOutput): Promise<Produced> {
        return input
      }
    }
    class Derived extends Custom {
      static override identifier = 'derived'
    }
    expect(new NodeRegistry([Custom, Derived]).types()).toEqual([Custom, Derived])
  })

  it('finds by identifier, alias and with underscores', () => {
    const registry = new NodeRegistry([Good])
    for (const type of ['good-node', 'fine-node', 'good_node', 'fine_node']) expect(registry.get(type)).toBe(Good)
    for (const type of ['Good-Node', 'good', '', '__proto__']) expect(registry.get(type)).toBeUndefined()
  })

  const typos: [string, string | undefined][] = [
    ['http-reqest', 'http-request'],
    ['HTTP_REQUEST', 'http-request'],
    ['conter', 'counter'],
    ['queue-node-writr', 'queue-writer'],
    ['swich', 'switch'],
    ['for_eech', 'for-each'],
    ['teleport', undefined],
    ['', undefined],
  ]
  it.each(typos)('suggests for %j: %j', (typed, expected) => {
    expect(defaultRegistry().suggest(typed)).toBe(expected)
  })
})

describe('the built-in nodes', () => {
  const registry = defaultRegistry()

  it('are those of the table', () => {
    expect(registry.types().map(nodeClass => nodeClass.identifier)).toEqual([
      ...['background', 'counter', 'data-transformer', 'dynamic-delay-node', 'file-reader', 'file-writer', 'for-each'],
      ...['http-request', 'http-response', 'if-condition', 'log', 'queue-reader', 'queue-writer', 'static-delay-node'],
      ...['string-iterator-producer', 'switch', 'timer', 'webhook-producer'],
    ])
    expect(registry.get('queue-node-writer')).toBe(registry.get('queue-writer'))
    expect(registry.get('queue-reader-dummy')).toBe(registry.get('queue-reader'))
  })

  it.each(registry.types().map(nodeClass => [nodeClass.identifier, nodeClass] as const))(
    '%s says what it is, and its example is valid',
    (_type, nodeClass) => {
      for (const text of [nodeClass.label, nodeClass.description, nodeClass.category]) expect(text).not.toBe('')
      expect(compileForm(nodeClass.form, nodeClass.example, { strict: true }).problems).toEqual([])
    },
  )

  it('mark what touches the world, what keeps state, what takes its time', () => {
    const having = (test: (nodeClass: NodeClass) => boolean) =>
      registry.types().flatMap(nodeClass => (test(nodeClass) ? [nodeClass.identifier] : []))
    expect(having(it => it.effects === 'outside')).toEqual(['file-writer', 'http-request'])
    expect(having(it => it.stateful)).toEqual([
      ...['counter', 'dynamic-delay-node', 'file-reader', 'string-iterator-producer', 'timer'],
    ])
    expect(having(it => it.untimed && it.kind !== 'producer')).toEqual(['dynamic-delay-node', 'static-delay-node'])
    expect(having(it => it.kind === 'producer' && !it.untimed)).toEqual([])
    expect(having(it => it.source === 'claimed')).toEqual(['queue-reader', 'webhook-producer'])
    expect(having(it => it.endless)).toEqual(['webhook-producer'])
    expect(having(it => it.queueRole === 'writer')).toEqual(['queue-writer'])
  })

  it('describe themselves in the shape of the catalogue', () => {
    expect(registry.describe('if_condition')).toEqual({
      type: 'if-condition',
      aliases: [],
      kind: 'conditional',
      category: 'Flow',
      label: 'If',
      description: expect.any(String),
      pool: 'async',
      effects: 'none',
      ports: ['yes', 'no'],
      form: [expect.objectContaining({ name: 'condition_expression', required: true })],
      workflow_types: ['production', 'api'],
    })
    expect(registry.describe('counter')).toMatchObject({ ports: ['default'], workflow_types: ['production'] })
    expect(registry.describe('for-each')).toMatchObject({ kind: 'loop', ports: ['default', 'subdag'] })
    expect(registry.describe('nothing')).toBeUndefined()
  })

  it('offer the ports of their form', () => {
    const ports = (cases: Json | undefined) => registry.get('switch')?.ports(cases === undefined ? {} : { cases })
    expect(ports(undefined)).toEqual(['default'])
    expect(ports([{ key: 'Big' }, { key: 7 }, { key: 'big' }, 'x', { key: '' }])).toEqual(['big', '7', 'default'])
    expect(ports('[{"key": "a", "condition": "true"}]')).toEqual(['a', 'default'])
    expect(ports('not a list')).toEqual(['default'])
  })
})
