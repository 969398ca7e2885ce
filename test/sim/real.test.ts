/** `sim --real`: a real engine on a real Redis, killed; and hosts that do not do what they say. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { Redis } from '../../engine/ports.ts'
import { type RealEnd, type RealHost, type RealRun, runReal } from '../../sim/real.ts'
import { cli, repository, temporaryFolder } from '../support/cli.ts'
import { planOf, subjectOf, twoLoops } from './support.ts'

/** Says how a life ended without having lived it. */
function idleHost(end: RealEnd): RealHost {
  const redis = { lrange: async () => [], hgetall: async () => ({}) } as unknown as Redis
  const server = { url: '', redis, forget: async () => undefined, close: async () => undefined }
  const life = { kill: () => undefined, begun: Promise.resolve(), ended: Promise.resolve(end) }
  return { openRealRedis: async () => server, beginLife: () => life }
}

async function runOn(host: RealHost): Promise<RealRun[]> {
  const runs: RealRun[] = []
  await runReal([{ subject: await subjectOf(twoLoops(2)), plan: planOf(twoLoops(2)) }], {
    host,
    registry: defaultRegistry(),
    redis: undefined,
    goesOn: () => true,
    onRun: run => runs.push(run),
    onLeftOut: name => expect.fail(`${name} was left out`),
  })
  return runs
}

describe('sim --real', () => {
  it('lives a story, and lives it killed', async () => {
    const cwd = temporaryFolder()
    const file = join(repository, 'fixtures/workflows/three-loops.json')
    const { code, lines, stdout, stderr } = await cli(['sim', '--real', file, '--json'], { cwd })
    expect(code, stdout + stderr).toBe(0)
    expect(lines).toEqual([
      expect.objectContaining({ type: 'summary', runs: 2, failures: 0, left_out: 0, iterations: 180 }),
    ])
  })

  it('leaves out what takes hours, and then knows of nothing that holds', async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 's.yaml'), readFileSync(join(repository, 'scenarios/late-arrivals.yaml')))
    const { code, stdout } = await cli(['sim', '--real', 's.yaml'], { cwd })
    expect(code).toBe(6)
    expect(stdout).toMatch(/s: left out: it takes \d+ s, which only simulated time can squeeze/)
  })

  it('sees that nothing was done, and that the engine failed', async () => {
    const [done] = await runOn(idleHost({ status: 'completed' }))
    expect(done?.failure).toMatchObject({ invariant: 'exactly-once', seen: expect.stringContaining('done') })
    const [failed] = await runOn(idleHost({ status: 'failed', error: 'no' }))
    expect(failed?.failure).toMatchObject({ invariant: 'crash', seen: 'failed: no' })
  })
})
