/** How a plan finds its way back to the user's test that knows its check. The whole way is gone by test/packed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { callingTest, lineOf, repeatInTest } from '../../sim/user-test.ts'
import { planOf, twoLoops } from './support.ts'

const here = process.cwd()

describe('callingTest', () => {
  it.each([
    [`Error\n at simulate (${here}/dist/sim/library.js:9:1)\n at ${here}/src/orders.test.ts:5:3`, 'src/orders.test.ts'],
    [`Error\n at run (file://${here}/a%20b/orders.spec.mjs:5:3)`, 'a b/orders.spec.mjs'],
    ['Error\n at run (/elsewhere/orders.test.ts:5:3)', undefined],
    [`Error\n at run (${here}/src/orders.ts:5:3)`, undefined],
  ])('reads %j', (stack, file) => expect(callingTest(stack)).toBe(file))

  it('finds this one', () => expect(callingTest()).toBe('test/sim/user-test.test.ts'))
})

describe('a plan with a test', () => {
  const plan = { ...planOf(twoLoops(1)), test: 'orders.test.js' }

  it('is repeated by one line, and by hand without', () => {
    expect(lineOf('out/plan.json', plan)).toBe('npx theoneeye sim --plan out/plan.json')
    const { test: _, ...plain } = plan
    expect(lineOf('out/plan.json', plain)).toBe('THEONEEYE_PLAN=out/plan.json npm test')
  })

  it.each(['orders.test.js', '../orders.test.js', '/etc/passwd'])('runs no test at %j', async test => {
    await expect(repeatInTest({ ...plan, test }, 'plan.json')).rejects.toThrow(/there is no such file here/)
  })

  it('says so when the test does not simulate it', async () => {
    const folder = mkdtempSync(join(here, '.theoneeye-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const test = join(folder, 'idle.test.js').slice(here.length + 1)
    writeFileSync(test, "import { test } from 'vitest'\ntest('idle', () => undefined)\n")
    const file = join(mkdtempSync(join(tmpdir(), 'plan-')), 'plan.json')
    await expect(repeatInTest({ ...plan, test }, file)).rejects.toThrow(
      /it did not simulate that plan\n[\s\S]*1 passed/,
    )
  })
})
