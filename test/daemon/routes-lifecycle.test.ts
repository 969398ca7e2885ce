import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { describeWorkflow } from '../../engine/store/processes.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'

const counting = rawconfig({ 1: ['counter', { max_value: 3 }], 2: ['log', {}] }, '1>2')
const hook = rawconfig({ 1: ['webhook-producer', { webhook_id: 'h' }] }, '', { workflow_type: 'api' })

async function opened(file: JsonObject = counting) {
  const bench = apiBench({ files: { f: counting } })
  await bench.send('POST /api/workflow', { id: 'w', ...file })
  const wish = async (id = 'w') => (await describeWorkflow(bench.ports.redis, id, [])).wish
  return { ...bench, wish }
}

describe('a workflow', () => {
  it.each(['GET', 'POST'])('is started and stopped by %s: the wish is left for whoever serves it', async method => {
    const { send, wish } = await opened()
    expect((await send(`${method} /api/workflow/w/task_status/`)).body).toMatchObject({
      task_id: null,
      status: 'PENDING',
    })
    const started = await send(`${method} /api/workflow/w/start_execution/`)
    expect(started).toMatchObject({ status: 200, body: { task_id: says(/./), status: 'PENDING' } })
    expect(await wish()).toBe('start')
    expect((await send(`${method} /api/workflow/w/stop_execution`)).body).toMatchObject({ status: 'REVOKED' })
    expect(await wish()).toBe('stop')
  })

  it('of a file is started too; a deactivated one is active again', async () => {
    const { send, wish } = await opened()
    expect((await send('POST /api/workflow/f/start_execution')).status).toBe(200)
    expect(await wish('f')).toBe('start')
    await send('POST /api/workflow/w/deactivate')
    expect((await send('POST /api/workflow/w/start_execution')).status).toBe(200)
    expect((await send('GET /api/workflow/w')).body.status).toBe('active')
  })

  it('is paused and resumed; what is not paused cannot be resumed', async () => {
    const { send, wish } = await opened()
    await send('POST /api/workflow/w/start_execution')
    expect((await send('POST /api/workflow/w/pause')).body).toMatchObject({ detail: { wish: 'pause', here: null } })
    expect((await send('POST /api/workflow/w/resume')).status).toBe(200)
    expect(await wish()).toBe('')
    await send('POST /api/workflow/w/stop_execution')
    expect(await send('POST /api/workflow/w/resume')).toMatchObject({ status: 409, body: { error_code: 'NOT_PAUSED' } })
    expect(await send('POST /api/workflow/w/pause', { loop: 'x' })).toMatchObject({ status: 404 })
  })

  it('ended, stopped and running tasks have the words of the existing clients', async () => {
    const bench = await opened()
    const { engine } = bench.bench.engine(
      bench.bench.load({ id: 'f', nodes: { c: ['counter', { max_value: 1 }] }, edges: '' }),
    )
    const status = async () => (await bench.send('GET /api/workflow/f/task_status')).body
    const started = engine.start()
    await started
    expect(await status()).toMatchObject({ task_id: says(/^run-/), status: 'STARTED', detail: { status: 'running' } })
    await bench.bench.finish(engine.done)
    expect(await status()).toMatchObject({ status: 'SUCCESS' })
    expect((await bench.send('GET /api/workflow/f')).body).toMatchObject({ runs_count: 1, last_run: says(/Z$/) })
  })

  it('that cannot run says why', async () => {
    const broken = await opened(rawconfig({ 1: ['conter', {}] }))
    expect(await broken.send('POST /api/workflow/w/start_execution')).toMatchObject({
      status: 422,
      body: { error_code: 'WORKFLOW_INVALID', details: [says(/"counter"/)] },
    })
    const { send } = await opened(hook)
    for (const verb of ['start_execution', 'stop_execution', 'pause', 'resume']) {
      expect(await send(`POST /api/workflow/w/${verb}`)).toMatchObject({
        status: 422,
        body: { error: says(/execute/) },
      })
    }
    expect(await send('POST /api/workflow/none/start_execution')).toMatchObject({ status: 404 })
  })

  it('is not begun while the daemon stops', async () => {
    const { send, api } = await opened()
    await api.drain(1_000)
    expect(await send('POST /api/workflow/w/start_execution')).toMatchObject({
      status: 503,
      headers: { 'retry-after': says(/^\d+$/) },
      body: { error_code: 'DRAINING' },
    })
  })
})
