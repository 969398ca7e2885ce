/** Every fixture runs to its end on the embedded Redis, says so in the shapes of the contract, and leaves nothing claimed. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { cli, repository, temporaryFolder } from '../support/cli.ts'

const folder = join(repository, 'fixtures/workflows')
const files = readdirSync(folder).filter(name => name.endsWith('.json'))

describe('run --json', () => {
  it.each(files)('%s completes', async name => {
    const cwd = temporaryFolder()
    const file = join(folder, name)
    const run = await cli(['run', file, '--json', '--allow-dead-letters', '--timeout', '40'], { cwd })
    expect(run.code, run.stderr).toBe(0)
    const summary = run.lines.at(-1)
    expect(summary).toMatchObject({ type: 'summary', status: 'completed' })
    expect(run.lines[0]).toMatchObject({ type: 'workflow_started', resumed: false })
    expect(run.lines.at(-2)).toMatchObject({ type: 'workflow_completed' })
    const workflow = summary?.workflow_id as string
    const loops = summary?.loops as Record<string, JsonObject>
    for (const [loop, counted] of Object.entries(loops)) {
      const of = (type: string): number => run.lines.filter(line => line.loop === loop && line.type === type).length
      const seen = {
        iterations: of('iteration_completed') + of('iteration_failed'),
        failed: of('iteration_failed'),
        dead_letters: of('dead_letter'),
      }
      expect(seen, loop).toEqual(counted)
    }
    const queues = await cli(['queue', 'list', workflow, '--json'], { cwd })
    expect(queues.lines.filter(queue => queue.claimed !== 0)).toEqual([])
  })
})
