/** A witness changes nothing of what it watches, and notes all of it. */
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../../engine/errors.ts'
import { decodeAnswer, Notes, RecordingWitness } from '../../../engine/trace/witness.ts'

const item = (data = {}) => ({ id: 'i', data, metadata: {} })

describe('RecordingWitness', () => {
  it('notes answers in the order in which they came, and errors by code', async () => {
    const witness = new RecordingWitness()
    let late: (value: number) => void = () => undefined
    const first = witness.call(
      { at: 'a', op: 'delay', ask: { ms: 5 } },
      () =>
        new Promise(resolve => {
          late = resolve
        }),
    )
    const failing = new EngineError('HTTP_FAILED', 'Cannot get an answer: refused')
    const second = witness.call({ at: 'b', op: 'http', ask: { url: 'u' } }, () => Promise.reject(failing))
    await expect(second).rejects.toBe(failing)
    expect([...witness.notes.open]).toEqual([{ at: 'a', op: 'delay', ask: { ms: 5 } }])
    late(17)
    expect(await first).toBe(17)
    expect(witness.notes.open.size).toBe(0)
    expect(witness.notes.calls).toEqual([
      {
        at: 'b',
        op: 'http',
        ask: { url: 'u' },
        error: { name: 'EngineError', code: 'HTTP_FAILED', message: failing.message },
      },
      { at: 'a', op: 'delay', ask: { ms: 5 }, answer: 17 },
    ])
  })

  it('hands on the very promise of the world', () => {
    const promise = Promise.resolve(1)
    expect(new RecordingWitness().call({ at: 'a', op: 'delay', ask: {} }, () => promise)).toBe(promise)
  })

  it('keeps bytes of any value, also a character cut in two', async () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => i % 256)
    const witness = new RecordingWitness()
    await witness.call({ at: 'a', op: 'read', ask: {} }, () => Promise.resolve(bytes))
    const text = JSON.stringify(witness.notes.calls[0]?.answer)
    expect(decodeAnswer('read', JSON.parse(text))).toEqual(bytes)
  })

  it('notes what was read and was not there, and each look at the clock by place', () => {
    const witness = new RecordingWitness()
    const reads = witness.committed('state', new Map([['a', '1']]))
    expect([reads.get('a'), reads.get('b')]).toEqual(['1', undefined])
    let ms = 10
    for (const at of ['x', 'y', 'x']) witness.now(at, () => ms++)
    expect(witness.notes.reads.state).toEqual({ a: '1', b: null })
    expect(witness.notes.clock).toEqual({ x: [10, 12], y: [11] })
  })
})

describe('a step', () => {
  it('holds what differs from its input, and nothing else', () => {
    const notes = new Notes()
    const input = item({ kept: [1], gone: 1, changed: 1 })
    const output = { ...input, data: { kept: input.data, changed: 2, added: 3 } }
    notes.completed('a', input, { output: { ...output, data: { ...input.data, changed: 2 } }, route: 'yes' })
    notes.completed('b', item({ gone: 1 }), { output: { ...item({ added: 1 }), id: 'j' }, route: 'default' })
    expect(notes.steps).toMatchObject([
      { at: 'a', did: 'complete', set: { changed: 2 }, unset: [], route: 'yes' },
      { at: 'b', did: 'complete', set: { added: 1 }, unset: ['gone'], id: 'j' },
    ])
    expect(Object.keys((notes.steps[0] as { set: object }).set)).toEqual(['changed'])
  })

  it('keeps a key named __proto__ a key', () => {
    const notes = new Notes()
    const data = JSON.parse('{"__proto__":{"x":1}}')
    notes.completed('a', item(), { output: item(data), route: 'default' })
    expect(JSON.stringify((notes.steps[0] as { set: object }).set)).toBe('{"__proto__":{"x":1}}')
  })
})
