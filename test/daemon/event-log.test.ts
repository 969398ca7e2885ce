/** The engine's events as log lines: what an operator needs, and never more than a disk holds. */
import { describe, expect, it } from 'vitest'
import { eventLog } from '../../daemon/event-log.ts'
import { pinoLog, systemClock } from '../../daemon/system-ports.ts'
import type { LogLevel } from '../../engine/ports.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'

const at = { time: 0, workflow_id: 'w', run: 'run-1', loop: 'l' }
const item = { id: 'i', data: { secret: 'hunter2' }, metadata: {} }
const error = { name: 'Error', code: 'NODE_FAILED', message: 'no' }
const letter = {
  id: 'dl-1',
  workflow: 'w',
  iteration: 3,
  node: 'n',
  node_type: 'log',
  error,
  item,
  deliveries: 1,
  trace_id: 't',
  queue: null,
}
const deadLetter: EngineEvent = { type: 'dead_letter', ...at, ...letter }
const nodeCompleted: EngineEvent = {
  type: 'node_completed',
  ...at,
  iteration: 3,
  node_id: 'n',
  node_type: 'log',
  duration: 1,
}

function logged(level: LogLevel) {
  const lines: Record<string, unknown>[] = []
  let now = 0
  const log = pinoLog({ level, destination: { write: line => void lines.push(JSON.parse(line)) } })
  const see = eventLog(log, { ...systemClock(), monotonic: () => now })
  const pass = (ms: number) => {
    now += ms
  }
  return { log, lines, see, pass }
}

describe('eventLog', () => {
  it('names workflow, run, loop, iteration, item and node; the data stays out', () => {
    const { lines, see } = logged('info')
    see(deadLetter)
    const place = { workflow: 'w', run: 'run-1', loop: 'l', iteration: 3, item: 'i', node: 'n' }
    expect(lines).toEqual([
      {
        level: 40,
        time: expect.any(Number),
        ...place,
        code: 'NODE_FAILED',
        dead_letter: 'dl-1',
        msg: 'dead letter: no',
      },
    ])
    expect(JSON.stringify(lines)).not.toContain('hunter2')
  })

  it('tells of nodes only at debug, from the moment that is asked for', () => {
    const { log, lines, see } = logged('info')
    see(nodeCompleted)
    expect(lines).toEqual([])
    log.level = 'debug'
    see(nodeCompleted)
    expect(lines).toMatchObject([{ level: 20, msg: 'node completed', node: 'n', duration: 1 }])
  })

  it.each(['RUN_LOST', 'DIVERGED', 'LOOP_CRASHED', 'LOOP_FAILED'])('%s is an error: somebody must look', code => {
    const { lines, see } = logged('error')
    see({ type: 'warning', ...at, code, message: 'm' })
    see({ type: 'warning', ...at, code: 'FENCED', message: 'm' })
    expect(lines).toMatchObject([{ level: 50, code, msg: 'm', loop: 'l' }])
  })

  it('of a loop that fails with every item writes a bounded number of lines a minute, and how many are missing', () => {
    const { lines, see, pass } = logged('info')
    for (let i = 0; i < 1_000; i++) see(deadLetter)
    see({ ...deadLetter, loop: 'other' })
    expect(lines).toHaveLength(21)
    pass(60_000)
    see(deadLetter)
    expect(lines.slice(21)).toMatchObject([
      { msg: '980 more like this were left out', type: 'dead_letter', loop: 'l', code: 'NODE_FAILED' },
      { msg: 'dead letter: no' },
    ])
  })
})
