/**
 * `npm run hashes`: are the traces the same under the versions of Node that we support? It compares the stored hashes
 * here, and under Node 22 and 24 from the package `node` (so it needs the network; a version that cannot be had is said,
 * and is no failure). `npm run hashes -- --write` stores those of now; `-- --here` asks no other Node.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { differing, storeHashes, traceHashes, writeThem } from './trace-hashes.ts'

const { values } = parseArgs({ options: { write: { type: 'boolean' }, here: { type: 'boolean' } } })
const others = ['22', '24']

async function compareHere(): Promise<boolean> {
  const hashes = await traceHashes()
  const names = differing(hashes)
  const all = Object.keys(hashes).length
  console.log(
    `node ${process.version}: ${names.length === 0 ? `all ${all} the same` : `not the same: ${names.join(', ')}`}`,
  )
  return names.length === 0
}

/** Undefined when there is no such Node to be had. */
function compareUnder(version: string): boolean | undefined {
  const npx = ['--yes', '--package', `node@${version}`, '--']
  const there = spawnSync('npx', [...npx, 'node', '--version'], { encoding: 'utf8' })
  if (there.status !== 0 || !there.stdout.startsWith(`v${version}.`)) {
    console.log(`node ${version}: cannot be had here (${there.stderr.trim().split('\n').at(-1)})`)
    return undefined
  }
  const args = [...npx, 'node', '--import', 'tsx', import.meta.filename, '--here']
  return spawnSync('npx', args, { stdio: 'inherit' }).status === 0
}

if (values.write === true) {
  storeHashes(await traceHashes())
  console.log('stored')
} else {
  const same = [await compareHere(), ...(values.here === true ? [] : others.map(compareUnder))]
  if (same[0] === false) console.log(`if the engine or the simulator was meant to change: ${writeThem}`)
  process.exitCode = same.includes(false) ? 1 : 0
}
