/** `--nodes DIR`: node classes of the user, in JavaScript and TypeScript, run like built-in ones. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cli, repository, temporaryFolder } from '../support/cli.ts'

const engine = JSON.stringify(join(repository, 'dist/engine/index.js'))

function nodeSource(type: '' | ': unknown'): string {
  return `import { BlockingNode, defineForm } from ${engine}
const suffix${type} = '!'
export class Shout extends BlockingNode {
  static identifier = 'shout'
  static label = 'Shout'
  static description = 'Says it louder'
  static form = defineForm({})
  async execute(input) {
    return { ...input, data: { shouted: String(input.data.counter.current) + suffix } }
  }
}`
}

const workflow = {
  id: 'shouting',
  nodes: [
    { id: 'count', type: 'counter', data: { form: { min_value: 1, max_value: 3 } } },
    { id: 'shout', type: 'shout', data: { form: {} } },
    { id: 'keep', type: 'queue-writer', data: { form: { queue_name: 'heard' } } },
  ],
  edges: [
    { id: 'e1', source: 'count', target: 'shout' },
    { id: 'e2', source: 'shout', target: 'keep' },
  ],
}

function folder(name: string, source: string): string {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'w.json'), JSON.stringify(workflow))
  writeFileSync(join(cwd, name), source)
  return cwd
}

describe('--nodes', () => {
  it.each([
    ['shout.mjs', ''],
    ['shout.mts', ': unknown'],
    ['shout.ts', ': unknown'],
  ] as const)('runs %s', async (name, type) => {
    const cwd = folder(name, nodeSource(type))
    writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
    const run = await cli(['run', 'w.json', '--nodes', '.', '--json'], { cwd })
    expect(run.code, run.stderr).toBe(0)
    const peek = await cli(['queue', 'peek', 'shouting', 'heard', '--json'], { cwd })
    expect(peek.lines.map(line => line.data)).toEqual(['1!', '2!', '3!'].map(shouted => ({ shouted })))
  })

  it('replays them too, in the threads of a folder of traces', async () => {
    const cwd = folder('shout.mjs', nodeSource(''))
    for (const name of ['a', 'b'])
      await cli(['run', 'w.json', '--nodes', '.', '--fresh', '--trace', `traces/${name}.jsonl`], { cwd })
    const { code, stdout, stderr } = await cli(['replay', 'traces', '--nodes', '.'], { cwd })
    expect([code, stdout], stderr).toEqual([0, 'replayed 8 iterations, identical\n'])
  })

  it('lets tests lie beside them', async () => {
    const cwd = folder('shout.mjs', nodeSource(''))
    writeFileSync(join(cwd, 'shout.test.mjs'), 'throw new Error("only a test runner reads this")')
    const { code, stderr } = await cli(['check', 'w.json', '--nodes', '.'], { cwd })
    expect(code, stderr).toBe(0)
  })

  it('lists them in the catalogue', async () => {
    const cwd = folder('shout.mjs', nodeSource(''))
    const { lines, stderr } = await cli(['nodes', 'shout', '--json', '--nodes', '.'], { cwd })
    expect(lines[0], stderr).toMatchObject({ type: 'shout', kind: 'blocking', description: 'Says it louder' })
  })

  it.each([
    ['that does not parse', 'export class {', /Cannot import custom nodes from "[^"]*shout\.mjs"/],
    ['that throws', 'throw new Error("not today")', /not today/],
    ['without a node class', 'export const x = 1', /exports no class/],
    [
      'with a liar',
      nodeSource('').replace("'shout'", "'Shout It'"),
      /"Shout It" \(export "Shout" of shout\.mjs\).*kebab/,
    ],
    ['with a taken name', nodeSource('').replace("'shout'", "'counter'"), /export "Shout" of shout\.mjs\).*taken/],
  ])('refuses a file %s with 2, naming what is wrong', async (_, source, says) => {
    const cwd = folder('shout.mjs', source)
    const { code, stdout, stderr } = await cli(['check', 'w.json', '--nodes', '.'], { cwd })
    expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(says)
    expect(stderr).not.toMatch(/\n\s+at /)
  })
})
