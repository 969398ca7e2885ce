/** Whatever a node does with the secret of its form but put it out: nothing that is told of a life holds it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../../engine/errors.ts'
import { FlowEngine } from '../../../engine/flow-engine.ts'
import { requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../../engine/json.ts'
import type { NodeContext } from '../../../engine/node/context.ts'
import { compileForm, defineForm, describeForm } from '../../../engine/node/form.ts'
import { computedChoice, number, password, text } from '../../../engine/node/form-fields.ts'
import { FormState } from '../../../engine/node/form-state.ts'
import { BlockingNode, type NodeOutput } from '../../../engine/node/node.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import { ApiRunner } from '../../../engine/run/api-runner.ts'
import { DevRunner } from '../../../engine/run/dev-runner.ts'
import { openTrace } from '../../../engine/trace/trace.ts'
import { Bench, sketch } from '../../support/engine-bench.ts'

type Leak = (token: string, context: NodeContext) => unknown

const leaks: Record<string, Leak> = {
  'a message': token => Promise.reject(new Error(`${token} was refused`)),
  'a text': token => Promise.reject(`no ${token}`),
  'JSON in a message': token => Promise.reject(new Error(JSON.stringify({ headers: { token } }))),
  'an address in a message': token => Promise.reject(new Error(`http://x.test/?token=${encodeURIComponent(token)}`)),
  'an error with a code': token => Promise.reject(Object.assign(new TypeError(token), { code: 'EWHAT' })),
  'an error of the engine': token =>
    Promise.reject(new EngineError('HTTP_FAILED', `no ${token}`, { details: { token } })),
  'the log': async (token, { log }) => log.warn(`it is ${token}`, { token, deep: [{ token }] }),
}

class Leaky extends BlockingNode {
  static override identifier = 'leaky'
  static override label = 'Leaky'
  static override description = 'Tells its secret in some way'
  static override form = defineForm({ token: password({ label: 'Token' }), how: text({ label: 'How' }) })
  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const { token, how } = context.form as { token: string; how: string }
    await leaks[how]?.(token, context)
    return input
  }
}

const registry = defaultRegistry([Leaky])
/** Texts of which blanking is no accident; with what JSON and addresses spell otherwise. */
const secrets = fc.string({ unit: 'grapheme', minLength: 3, maxLength: 12 }).map(text => `s3cret${text}"ü`)

function workflowOf(token: string, how: string, type: 'production' | 'api'): JsonObject {
  const first = type === 'api' ? ['webhook-producer', { webhook_id: 'w' }] : ['counter', { min_value: 1, max_value: 2 }]
  const nodes = { first: first as [string, JsonObject], leak: ['leaky', { token, how }] as [string, JsonObject] }
  return { ...sketch({ nodes, edges: 'first>leak' }), type }
}

/** Everything that is told of a run, of a request and of one node in development. */
async function told(workflow: (type: 'production' | 'api') => JsonObject): Promise<{ all: string; failed: number }> {
  const bench = new Bench()
  const lines: unknown[] = []
  const log = { write: (...line: unknown[]) => void lines.push(line) }
  const ports = { ...bench.ports(1), log }
  const graph = requireWorkflow(workflow('production'), { registry })
  const trace = openTrace(graph, { engine: '0', source: 'recorded' }, line => lines.push(line))
  const onEvent = (event: unknown) => void lines.push(event)
  const engine = new FlowEngine({ graph, ports, onEvent, recordOf: () => trace })
  await bench.finish(engine.start().then(() => engine.done))
  const letters = await bench.deadLetters()
  const api = new ApiRunner({ graph: requireWorkflow(workflow('api'), { registry }), ports, onEvent })
  lines.push(await bench.finish(api.execute({ input: {} })))
  const dev = new DevRunner({ registry, ports, onEvent })
  lines.push(await bench.finish(dev.execute({ workflow: workflow('production'), nodeId: 'leak', input: {} })))
  lines.push(letters, bench.server.db.dump())
  return { all: JSON.stringify(lines), failed: letters.length }
}

/** As it stands in a text, in JSON, in JSON in JSON, and in an address. */
function spelled(secret: string): string[] {
  const once = JSON.stringify(secret).slice(1, -1)
  return [secret, once, JSON.stringify(once).slice(1, -1), encodeURIComponent(secret)]
}

function expectNone(all: string, secret: string): void {
  for (const text of spelled(secret)) expect(all.includes(text), text).toBe(false)
}

describe('a secret is in nothing that is told', () => {
  it.each(Object.keys(leaks))('when a node tells it by %s', async how => {
    await fc.assert(
      fc.asyncProperty(
        secrets.filter(each => !each.includes('{')),
        async secret => {
          const { all, failed } = await told(type => workflowOf(secret, how, type))
          expectNone(all, secret)
          expect(failed).toBe(how === 'the log' ? 0 : 2)
          expect(all.includes('[redacted]')).toBe(true)
        },
      ),
      { numRuns: 15 },
    )
  })

  it('when the form names a variable that holds it', async () => {
    const secret = 'from-the-environment'
    const named = (type: 'production' | 'api') => {
      return { ...workflowOf('{{ workflowenv.TOKEN }}', 'a message', type), env: { TOKEN: secret } }
    }
    const { all, failed } = await told(named)
    expectNone(all, secret)
    expect(failed).toBe(2)
  })

  it('when its own template fails', async () => {
    const failing = (type: 'production' | 'api') => workflowOf("{{ 'hunter22' / 2 }}", 'a message', type)
    const { all, failed } = await told(failing)
    expect(all.includes('hunter22')).toBe(false)
    expect(failed).toBe(2)
  })
})

describe('a form', () => {
  const form = defineForm({
    token: text({ label: 'Token', secret: true, pattern: /^never/, expected: 'must be otherwise' }),
    size: number({ label: 'Size' }),
    of: computedChoice({
      label: 'Of',
      depends_on: ['token'],
      choicesFor: ({ token }) => {
        throw new Error(`nothing for ${token}`)
      },
    }),
  })
  it.each(['hunter22', '{{ hunter22', "{% 'hunter22' %}", '{{ hunter22 | nope }}', "{{ 'hunter22' }"])(
    'shows nothing of the secret %s',
    async token => {
      const state = await new FormState(form, { token, size: 'x' }).settled()
      await state.update({ size: 1 })
      const { problems } = compileForm(form, { token }, { strict: false })
      const all = JSON.stringify([state.toJSON(), await state.problems(), describeForm(form, { token }), problems])
      expect(all.includes('hunter22')).toBe(false)
    },
  )
})
