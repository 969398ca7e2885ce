/** `ps` and the wishes, over real processes and a real Redis: one asks, another acts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cli, temporaryFolder } from '../support/cli.ts'
import { RedisServer } from '../support/redis-server.ts'

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.remove())

const never = {
  id: 'never',
  nodes: [{ id: 'tick', type: 'timer', data: { form: { interval: 1, unit: 'hours' } } }],
  edges: [],
}

function folder() {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'never.json'), JSON.stringify(never))
  const ask = (...words: string[]) => cli([...words, '--redis', server.url], { cwd })
  return { cwd, ask }
}

describe('wishes', () => {
  it('stop a run that is under way elsewhere; ps tells before and after', async () => {
    const { cwd, ask } = folder()
    const before: Promise<unknown>[] = []
    const running = cli(['run', 'never.json', '--redis', server.url], {
      cwd,
      onOutput: () => before.push(before.length === 0 ? stopIt() : Promise.resolve()),
    })
    const stopIt = async () => {
      const { lines } = await ask('ps', 'never', '--json')
      expect(lines[0]).toMatchObject({ type: 'workflow', workflow_id: 'never', run: 'run-1', wish: '' })
      expect(await ask('stop', 'never', '--wait', '20')).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/stops\nnever is stopped/),
      })
    }
    expect((await running).code).toBe(0)
    await Promise.all(before)
    const after = await ask('ps', '--json')
    expect(after.lines).toEqual([expect.objectContaining({ status: 'stopped', wish: 'stop', finished_at: null })])
    expect(after.lines[0]).toMatchObject({
      loops: [{ id: 'tick', wish: '', replicas: [{ replica: 0, holder: null, lease_left: 0, iterations: 0 }] }],
    })
    expect((await ask('ps')).stdout).toMatch(/never +run-1 +stopped \(asked to stop\) +tick +–/)
  })

  it('are kept, and said to be kept, when nobody is there to act', async () => {
    const { ask } = folder()
    const { code, stdout, stderr } = await ask('start', 'never')
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'never: goes on with its unfinished run\n' })
    expect(stderr).toContain('no daemon is running and nobody serves the workflow')
    expect(await ask('start', 'never', '--wait', '0.1')).toMatchObject({ code: 1 })
    const { lines } = await ask('pause', 'never', 'tick', '--json')
    expect(lines).toEqual([
      { type: 'asked', workflow_id: 'never', loop: 'tick', wish: 'pause', status: 'idle', daemons: 0 },
    ])
    expect((await ask('ps', 'never', '--json')).lines[0]).toMatchObject({ status: 'idle', loops: [{ wish: 'pause' }] })
    expect((await ask('resume', 'never', 'tick')).stdout).toBe('loop tick of never: goes on, also if it was given up\n')
  })

  it.each([
    [['stop', 'nevr'], 'Cannot find workflow "nevr" on this Redis: did you mean "never"?'],
    [['ps', 'something-else'], 'there is "never"'],
    [['pause', 'never', 'tock'], 'Cannot find loop "tock" of workflow "never": did you mean "tick"?'],
    [['stop', 'never', 'tick'], 'too many arguments'],
  ])('refuse %j in words', async (words, message) => {
    const { ask } = folder()
    const { code, stderr } = await ask(...words)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  it('to resume is refused where something else was asked for', async () => {
    const { ask } = folder()
    await ask('stop', 'never')
    const { code, stderr } = await ask('resume', 'never')
    expect(code).toBe(2)
    expect(stderr).toContain('it is not paused but stop; to start it, say "theoneeye start never"')
  })
})
