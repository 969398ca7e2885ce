import { describe, expect, it } from 'vitest'
import type { Exploration } from '../../sim/explore.ts'
import { junitXml, simSuite } from '../../sim/junit.ts'
import { planOf, twoLoops } from './support.ts'

const whole: Exploration = {
  runs: 7,
  found: [],
  inconclusive: 0,
  totals: { simulatedMs: 0, iterations: 0, commits: 0, crashes: 0 },
  faults: {},
  medians: { commits: 0, faults: 0 },
  neverReached: [],
  traceHash: null,
}

describe('junit', () => {
  it('has a test case per workflow', () => {
    const xml = junitXml(simSuite([whole], ['a', 'b', 'a'], 1_500))
    expect(xml).toContain(
      '<testsuite name="theoneeye sim, 7 runs" tests="2" failures="0" errors="0" skipped="0" time="1.5">',
    )
    expect(xml.match(/<testcase [^>]*><\/testcase>/g)).toHaveLength(2)
  })

  it('tells failures, whatever characters they hold', () => {
    const failure = {
      kind: 'stuck',
      invariant: 'stuck',
      expected: 'a < "b"',
      seen: '\u0000\u001bx & y',
      at: 12,
    } as const
    const plan = planOf(twoLoops(2))
    const found = { failure, plan, original: plan, lines: [] }
    const xml = junitXml(simSuite([{ ...whole, found: [found, found] }], ['w', 'other'], 0))
    expect(xml).toContain('tests="2" failures="1"')
    expect(xml.match(/<failure message="seed 0x1: stuck does not hold" type="stuck">/g)).toHaveLength(2)
    expect(xml).toContain('expected a &lt; &quot;b&quot;\nseen x &amp; y\nat 12 ms, with 0 faults')
    expect([...xml].filter(char => char < ' ' && char !== '\n')).toEqual([])
  })
})
