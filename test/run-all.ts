/**
 * What `npm test` runs, in the order in which failures are cheapest to read: types, lint, tests, a bounded simulation
 * through the built command line. Every step runs even when one before it failed; the last line is the sum of all,
 * `N passed, N failed`, and the exit code says the same.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

type Count = { passed: number; failed: number }

const root = join(import.meta.dirname, '..')
const scratch = mkdtempSync(join(tmpdir(), 'theoneeye-test-'))

/** Every fixture and every failure ever found, with all faults; the seed is fixed, so that CI never flickers. */
const simulation = {
  seed: '0x5eed',
  seeds: '40',
  paths: ['fixtures/workflows', 'fixtures/orders/orders.json', 'fixtures/api'],
}
/** Workflows that nobody wrote, and the stories of `scenarios`. */
const generatedSeeds = '200'

/** Real daemons, workers and Redis, killed, cut off and held up: what is looked at is what arrives, not how fast. */
const torture = ['--faults', '20', '--rate', '200', '--seed', '5', '--trace']

/** Nearly all are found by the first few seeds; the whole 500 of them run by hand. */
const mutantSeeds = '200'

function run(command: string, args: readonly string[]): boolean {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (done.error !== undefined) console.error(`Cannot run ${command}: ${done.error.message}`)
  return done.status === 0
}

function tool(name: string, args: readonly string[]): boolean {
  return run(join(root, 'node_modules', '.bin', name), args)
}

function has(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

/** A program that tests need, from a Debian package: installed if this is a bare machine and we may. */
function find(program: string, why: string, debianPackage = program): boolean {
  if (has(program)) return true
  if (process.getuid?.() === 0 && has('apt-get')) {
    console.log(`${program} is not in PATH: installing it with apt-get`)
    run('apt-get', ['update', '-qq'])
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage])
    if (has(program)) return true
  }
  console.error(`Cannot ${why}: no ${program} in PATH; install it (apt-get install ${debianPackage})`)
  return false
}

function vitest(): Count {
  const report = join(scratch, 'vitest.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const ok = tool('vitest', ['run', '--config', 'test/vitest.config.ts', ...reporters])
  if (!existsSync(report)) return { passed: 0, failed: 1 }
  const result = JSON.parse(readFileSync(report, 'utf8')) as { numPassedTests: number; numFailedTests: number }
  const failed = result.numFailedTests
  return { passed: result.numPassedTests, failed: ok ? failed : Math.max(failed, 1) }
}

function simulateGenerated(): boolean {
  const seeds = ['--seeds', generatedSeeds, '--seed', simulation.seed, '--faults', 'all']
  return run(process.execPath, [join(root, 'dist/daemon/bin.js'), 'sim', ...seeds, '--out', join(scratch, 'failures')])
}

function simulate(): boolean {
  const found = 'scenarios/found'
  const hasFound = existsSync(join(root, found)) && readdirSync(join(root, found)).some(name => name.endsWith('.json'))
  const paths = hasFound ? [...simulation.paths, found] : simulation.paths
  const out = ['--out', join(scratch, 'failures')]
  const bin = join(root, 'dist/daemon/bin.js')
  const seeds = ['--seeds', simulation.seeds, '--seed', simulation.seed, '--faults', 'all']
  return run(process.execPath, [bin, 'sim', ...paths, ...seeds, ...out])
}

/** Planted bugs, each of which must be found: so that a simulator that finds nothing is not green. */
function mutants(): boolean {
  return run(process.execPath, [join(root, 'dist/daemon/bin.js'), 'sim', '--mutants', '--seeds', mutantSeeds])
}

const steps: [string, () => boolean | Count][] = [
  ['redis-server', () => find('redis-server', 'test against a real Redis')],
  ['systemd', () => find('systemd-analyze', 'test what the service manager is told', 'systemd')],
  ['chromium', () => find('chromium', 'look at the pages')],
  ['types (tsc -b)', () => tool('tsc', ['-b'])],
  ['lint (biome ci)', () => tool('biome', ['ci', '.'])],
  ['tests (vitest)', vitest],
  ['simulation', simulate],
  ['simulation of generated workflows', simulateGenerated],
  ['mutants', mutants],
  ['torture', () => tool('tsx', ['test/torture/main.ts', ...torture])],
]

const sum: Count = { passed: 0, failed: 0 }
const failures: string[] = []
for (const [name, step] of steps) {
  console.log(`\n== ${name}`)
  const result = step()
  const count = typeof result === 'boolean' ? { passed: Number(result), failed: Number(!result) } : result
  sum.passed += count.passed
  sum.failed += count.failed
  if (count.failed > 0) failures.push(name)
}
rmSync(scratch, { recursive: true, force: true })
if (failures.length > 0) console.log(`\nfailed: ${failures.join(', ')}`)
console.log(`\n${sum.passed} passed, ${sum.failed} failed`)
process.exitCode = sum.failed > 0 ? 1 : 0
