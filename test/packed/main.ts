/**
 * What a user of the packed package goes through, in a project that has it installed: a ten-line test finds the orders
 * of exactly nothing that a workflow loses, cuts them to one, and the line that it prints repeats it. `.ci/run` calls it
 * with the folder of such a project: `tsx test/packed/main.ts PROJECT`.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const project = process.argv[2]
assert(project !== undefined, 'usage: tsx test/packed/main.ts PROJECT')

const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  devDependencies: Record<string, string>
}

function run(line: string): { status: number | null; said: string } {
  const [command = '', ...args] = line.split(' ')
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: project, encoding: 'utf8' })
  return { status, said: `${stdout}\n${stderr}` }
}

function step(what: string, status: number | null, said: string, expected: number): void {
  assert.equal(status, expected, `${what}: exit code ${status}, not ${expected}\n${said}`)
  console.log(`${what}: exit code ${status}, as it should be`)
}

/** The chapter "Write a node" of the README, line for line; what it installs is here already. */
function followChapter(): void {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const chapter = /^## Write a node$([\s\S]*?)^## /m.exec(readme)?.[1] ?? ''
  for (const name of ['discount.mts', 'discount.test.mts']) {
    const file = readFileSync(join(root, 'fixtures/nodes', name), 'utf8')
    assert(chapter.includes(`\`\`\`ts\n${file}\`\`\``), `the README shows fixtures/nodes/${name} as it is`)
  }
  const lines = [...chapter.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.trim().split('\n'))
  assert(lines.length > 8, 'the chapter "Write a node" has lines to follow')
  for (const line of lines.filter(each => !/^npm (init|install theoneeye)/.test(each))) {
    // the tests of this project are not the chapter's
    const own = line === 'npx vitest run' ? `${line} nodes` : line
    const { status, stdout, stderr } = spawnSync('sh', ['-c', own], { cwd: project, encoding: 'utf8' })
    step(line, status, `${stdout}\n${stderr}`, 0)
    if (line.includes('queue peek')) assert.match(stdout, /"due":60/)
  }
}

followChapter()
cpSync(join(root, 'fixtures/user-project'), project, { recursive: true })
const wanted = ['vitest', '@fast-check/vitest'].map(name => `${name}@${devDependencies[name]}`)
const installed = run(`npm install --no-audit --no-fund --save-dev ${wanted.join(' ')}`)
step('npm install vitest', installed.status, installed.said, 0)

const property = run('npx --no-install vitest run amounts.test.js')
step('a property of @fast-check/vitest over simulate()', property.status, property.said, 0)

const test = run('npx --no-install vitest run orders.test.js')
step('the test of a workflow that loses orders', test.status, test.said, 1)
const items = JSON.parse(/items for "orders": (\[.*\])/.exec(test.said)?.[1] ?? 'null') as { amount: number }[]
assert(items.length <= 3 && items.some(({ amount }) => amount === 0), `cut to ${JSON.stringify(items)}`)
console.log(`found, and cut to ${JSON.stringify(items)}`)

const line = /again: (npx theoneeye sim --plan \S+)/.exec(test.said)?.[1]
assert(line !== undefined, `it prints no line that repeats it\n${test.said}`)
const again = run(line)
step(line, again.status, again.said, 1)
const seen = (said: string): string | undefined => /^\s*seen +(.*)$/m.exec(said)?.[1]
assert.equal(seen(again.said), seen(test.said), `the line repeats something else\n${again.said}`)
console.log(`which says the same again: ${seen(again.said)}`)
