/** The outcome as JUnit XML, which every CI can show: a test case per workflow, and one per stored plan that failed. */
import type { Exploration, Found } from './explore.ts'

/** `tookMs` is milliseconds. */
export function junitXml(done: readonly Exploration[], names: readonly string[], tookMs: number): string {
  const found = done.flatMap(each => each.found)
  const cases = [...new Set([...names, ...found.map(({ plan }) => plan.name)])]
  const failing = cases.filter(name => found.some(({ plan }) => plan.name === name)).length
  const counts = `tests="${cases.length}" failures="${failing}" errors="0" skipped="0" time="${tookMs / 1_000}"`
  const runs = done.reduce((sum, each) => sum + each.runs, 0)
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="theoneeye sim" ${counts}>
<testsuite name="theoneeye sim, ${runs} runs" ${counts}>
${cases.map(name => testCase(name, found)).join('\n')}
</testsuite>
</testsuites>
`
}

function testCase(name: string, all: readonly Found[]): string {
  const failures = all.filter(({ plan }) => plan.name === name).map(failureOf)
  return `<testcase classname="sim" name="${asText(name)}">${failures.join('')}</testcase>`
}

function failureOf({ failure, plan }: Found): string {
  const { invariant, kind, expected, seen, at } = failure
  const message = `seed ${plan.seed}: ${invariant} does not hold`
  const text = `expected ${expected}\nseen ${seen}\nat ${at} ms, with ${plan.events.length} faults`
  return `<failure message="${asText(message)}" type="${kind}">${asText(text)}</failure>`
}

/** XML knows no control characters but three, in whatever form. */
function asText(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  const clean = [...text].filter(char => char >= ' ' || '\t\n\r'.includes(char)).join('')
  return clean.replaceAll(/[&<>"]/g, char => names[char] as string)
}
