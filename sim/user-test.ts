/**
 * Plans whose check is a user's test: what must hold, and who answers HTTP, are functions that only the test has. Such a
 * plan names its test; `sim --plan` has the test repeat it, and tells what came of it as it tells any other failure.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EngineError } from '../engine/errors.ts'
import type { Exploration } from './explore.ts'
import type { Plan } from './plan.ts'
import type { Failure, Stats } from './world.ts'

/** What a test that repeats a plan writes down for whoever asked it to. */
export type Repeated = { stats: Omit<Stats, 'reached'>; failure?: Failure; lines?: string[] }

const variables = { plan: 'THEONEEYE_PLAN', answer: 'THEONEEYE_REPEATED' } as const

/** The file of the plan that this process is asked to repeat. */
export function planToRepeat(): string | undefined {
  return process.env[variables.plan] || undefined
}

export async function tellRepeated(repeated: Repeated): Promise<void> {
  const file = process.env[variables.answer]
  if (file) await writeFile(file, JSON.stringify(repeated))
}

/** The test under vitest that has called, as a path below the working directory; undefined elsewhere. */
export function callingTest(stack = new Error().stack ?? ''): string | undefined {
  if (process.env.VITEST === undefined) return undefined
  const files = [...stack.matchAll(/((?:file:\/\/)?\/[^()\n]*?):\d+:\d+/g)].map(([, file]) => file as string)
  const test = files.find(file => /\.(test|spec)\.[cm]?[jt]sx?$/.test(file))
  if (test === undefined) return undefined
  const path = relative(process.cwd(), test.startsWith('file:') ? fileURLToPath(test) : test)
  return path.startsWith('..') ? undefined : path
}

/** The line that repeats it in any project. */
export function lineOf(planFile: string, { test }: Plan): string {
  return test === undefined ? `${variables.plan}=${planFile} npm test` : `npx theoneeye sim --plan ${planFile}`
}

/** Has the test of a plan repeat it. Rejects with `USAGE` when there is no such test, or it never came to it. */
export async function repeatInTest(plan: Plan, planFile: string): Promise<Exploration> {
  const test = plan.test as string
  const fail = (why: string): never => {
    throw new EngineError('USAGE', `Cannot repeat plan "${planFile}" in its test "${test}": ${why}`)
  }
  const isThere = await stat(test).then(
    () => true,
    () => false,
  )
  const isBelow = resolve(test).startsWith(process.cwd() + sep)
  if (!isThere || !isBelow) fail('there is no such file here; go to the project of that test')
  const folder = await mkdtemp(join(tmpdir(), 'theoneeye-repeat-'))
  try {
    const answer = join(folder, 'repeated.json')
    const said = await runVitest(test, { [variables.plan]: resolve(planFile), [variables.answer]: answer })
    const repeated = await readFile(answer, 'utf8').catch(() => fail(`it did not simulate that plan\n${said}`))
    return explored(plan, JSON.parse(repeated) as Repeated)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** All that it says, whether it passes or not. */
function runVitest(test: string, env: Record<string, string>): Promise<string> {
  const vitest = findVitest()
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, [vitest, 'run', test], {
      env: { ...process.env, ...env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (said += text))
    child.on('error', reject)
    child.on('close', () => done(said.trim()))
  })
}

function findVitest(): string {
  try {
    return join(dirname(createRequire(resolve('package.json')).resolve('vitest/package.json')), 'vitest.mjs')
  } catch {
    throw new EngineError('USAGE', 'Cannot repeat a plan in its test: vitest is not installed here; npm install vitest')
  }
}

function explored(plan: Plan, { stats, failure, lines = [] }: Repeated): Exploration {
  return {
    runs: 1,
    found: failure === undefined ? [] : [{ failure, plan, original: plan, lines }],
    inconclusive: failure?.kind === 'inconclusive' ? 1 : 0,
    totals: stats,
    faults: stats.faults,
    medians: { commits: 0, faults: 0 },
    neverReached: [],
    traceHash: null,
  }
}
