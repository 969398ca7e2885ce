/** `/ws/workflow/ID`, over a real socket and a real daemon: state first, then what happens; coming back; bad words. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { startDaemon } from '../../daemon/start-daemon.ts'
import type { JsonObject } from '../../engine/json.ts'
import { daemonFolder } from '../support/daemon-process.ts'
import { sketch } from '../support/engine-bench.ts'

const api = {
  type: 'api',
  ...sketch({
    id: 'shout',
    nodes: {
      hook: ['webhook-producer', { webhook_id: 'shout' }],
      loud: ['data-transformer', { output_template: '{"said": "{{ data.text | upper }}"}', overwrite: true }],
    },
    edges: 'hook>loud',
  }),
}

const counting = sketch({
  id: 'counting',
  nodes: { count: ['counter', { min_value: 1, max_value: 3 }], note: 'log' },
  edges: 'count>note',
})

async function daemon() {
  const cwd = daemonFolder({ shout: api, counting })
  const running = await startDaemon({ listen: '127.0.0.1:0' }, { cwd, log: { level: 'error', write: () => undefined } })
  onTestFinished(() => running.kill())
  return running
}

/** A client that keeps what it hears; `until` resolves with the first message that fits. */
class Client {
  readonly heard: JsonObject[] = []
  readonly closed: Promise<number>
  readonly #socket: WebSocket
  #wake: () => void = () => undefined

  constructor(url: string, path: string, headers: Record<string, string> = {}) {
    this.#socket = new WebSocket(url.replace('http:', 'ws:') + path, { headers })
    this.#socket.on('message', data => {
      this.heard.push(JSON.parse(String(data)) as JsonObject)
      this.#wake()
    })
    this.closed = new Promise((resolve, reject) => {
      this.#socket.on('close', code => {
        this.#wake()
        resolve(code)
      })
      this.#socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0))
      this.#socket.on('error', reject)
    })
    this.closed.catch(() => undefined)
    onTestFinished(() => this.#socket.terminate())
  }

  async until(fits: (message: JsonObject) => boolean): Promise<JsonObject> {
    for (;;) {
      const found = this.heard.find(fits)
      if (found !== undefined) return found
      if (this.#socket.readyState > WebSocket.OPEN) throw new Error(`closed; heard ${JSON.stringify(this.heard)}`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  say(message: JsonObject | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  close(): void {
    this.#socket.close()
  }
}

async function shout(url: string, text: string): Promise<void> {
  const body = JSON.stringify({ input: { text } })
  const answer = await fetch(`${url}/api/workflow/shout/execute`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body,
  })
  expect(await answer.json()).toMatchObject({ success: true })
}

const isOf = (type: string, node?: string) => (message: JsonObject) =>
  message.type === type && (node === undefined || message.node_id === node)

describe('/ws/workflow/ID', () => {
  it('tells the state, then what happens, with what nodes put out', async () => {
    const { url } = await daemon()
    const client = new Client(url, '/ws/workflow/shout')
    const [state] = [await client.until(isOf('state_sync'))]
    expect(client.heard[0]).toBe(state)
    expect(state).toMatchObject({
      workflow_id: 'shout',
      executing_nodes: [],
      completed_nodes: [],
      completed_count: 0,
      status: expect.any(String),
    })
    await shout(url, 'hello')
    const started = await client.until(isOf('node_started', 'loud'))
    expect(started).toMatchObject({ node_type: 'data-transformer', started_at: expect.stringMatching(/^20\d\d-.*Z$/) })
    const done = await client.until(isOf('node_completed', 'loud'))
    expect(done).toMatchObject({
      output_data: { said: 'HELLO' },
      duration: expect.any(Number),
      event_id: expect.any(String),
    })
    await client.until(isOf('iteration_completed'))
    client.say({ type: 'ping' })
    expect(await client.until(isOf('pong'))).toMatchObject({ time: expect.any(Number) })
  })

  it('tells of a workflow that runs in loops, also when asked again', async () => {
    const { url } = await daemon()
    const client = new Client(url, '/ws/workflow/counting')
    await client.until(isOf('state_sync'))
    client.say({ type: 'request_state' })
    await client.until(message => message.completed_count === 7 || message.status === 'completed')
    const states = client.heard.filter(isOf('state_sync'))
    expect(states.at(-1)).toMatchObject({ run: 'run-1' })
  })

  it('sends what a client has missed while it was away, or says that it is lost', async () => {
    const { url } = await daemon()
    const first = new Client(url, '/ws/workflow/shout')
    await first.until(isOf('state_sync'))
    await shout(url, 'one')
    const { event_id: last } = await first.until(isOf('iteration_completed'))
    first.close()
    await first.closed
    await shout(url, 'two')
    const again = new Client(url, `/ws/workflow/shout?last_event_id=${last}`)
    expect(await again.until(isOf('node_completed', 'loud'))).toMatchObject({ output_data: { said: 'TWO' } })
    expect(again.heard[0]).toMatchObject({ type: 'state_sync' })
    expect(again.heard.filter(isOf('iteration_started'))).toHaveLength(1)
    const stranger = new Client(url, '/ws/workflow/shout?last_event_id=other-3')
    expect(await stranger.until(isOf('events_lost'))).toEqual({ type: 'events_lost', after: 'other-3' })
  })

  it('answers bad words, refuses other sites, and closes where there is no such workflow', async () => {
    const { url } = await daemon()
    const unknown = new Client(url, '/ws/workflow/nothing')
    expect(await unknown.closed).toBe(4404)
    expect(unknown.heard).toMatchObject([{ type: 'error', error_code: 'WORKFLOW_UNKNOWN' }])
    const plain = await fetch(`${url}/ws/workflow/shout`, { headers: { connection: 'close' } })
    expect([plain.status, await plain.json()]).toEqual([
      400,
      expect.objectContaining({ error_code: 'VALIDATION_ERROR' }),
    ])
    const elsewhere = new Client(url, '/ws/workflow/shout', { origin: 'https://evil.test' })
    expect(await elsewhere.closed).toBe(403)
    const client = new Client(url, '/ws/workflow/shout')
    await client.until(isOf('state_sync'))
    for (const words of ['{', '"ping"', { type: 'drop' }, '[]']) client.say(words)
    await client.until(() => client.heard.filter(isOf('error')).length === 4)
    client.say('x'.repeat(5_000))
    expect(await client.closed).toBe(1009)
    const chatty = new Client(url, '/ws/workflow/shout')
    await chatty.until(isOf('state_sync'))
    for (let i = 0; i < 100; i++) chatty.say({ type: 'ping' })
    expect(await chatty.closed).toBe(1008)
    // and the daemon goes on
    await shout(url, 'still here')
  })

  it('closes its connections when the daemon stops', async () => {
    const running = await daemon()
    const client = new Client(running.url, '/ws/workflow/shout')
    await client.until(isOf('state_sync'))
    await running.stop()
    expect([1001, 1005, 1006]).toContain(await client.closed)
  })
})
