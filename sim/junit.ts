/** Outcomes as JUnit XML, which every CI can show. Of `sim`: a test case per workflow, and one per stored plan that failed. */
import { writeFile } from 'node:fs/promises'
import { EngineError, messageOf } from '../engine/errors.ts'
import type { Exploration, Found } from './explore.ts'

export type JunitCase = { name: string; failures: readonly { message: string; type: string; text: string }[] }
/** `command` names the classes; `tookMs` is milliseconds. */
export type JunitSuite = { command: string; what: string; cases: readonly JunitCase[]; tookMs: number }

export function junitXml({ command, what, cases, tookMs }: JunitSuite): string {
  const failing = cases.filter(({ failures }) => failures.length > 0).length
  const counts = `tests="${cases.length}" failures="${failing}" errors="0" skipped="0" time="${tookMs / 1_000}"`
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="theoneeye ${command}" ${counts}>
<testsuite name="theoneeye ${command}, ${asText(what)}" ${counts}>
${cases.map(each => testCase(command, each)).join('\n')}
</testsuite>
</testsuites>
`
}

/** Rejects with `USAGE` when it can't be written. */
export async function writeJunit(file: string, suite: JunitSuite): Promise<void> {
  await writeFile(file, junitXml(suite)).catch(error => {
    throw new EngineError(
      'USAGE',
      `Cannot write the file of --junit: ${messageOf(error)}; name one in a folder that is there`,
    )
  })
}

/** `names`: of all that was simulated. */
export function simSuite(done: readonly Exploration[], names: readonly string[], tookMs: number): JunitSuite {
  const found = done.flatMap(each => each.found)
  const runs = done.reduce((sum, each) => sum + each.runs, 0)
  const cases = [...new Set([...names, ...found.map(({ plan }) => plan.name)])].map(name => {
    return { name, failures: found.filter(({ plan }) => plan.name === name).map(failureOf) }
  })
  return { command: 'sim', what: `${runs} runs`, cases, tookMs }
}

function failureOf({ failure, plan }: Found): JunitCase['failures'][number] {
  const { invariant, kind, expected, seen, at } = failure
  const message = `seed ${plan.seed}: ${invariant} does not hold`
  const text = `expected ${expected}\nseen ${seen}\nat ${at} ms, with ${plan.events.length} faults`
  return { message, type: kind, text }
}

function testCase(command: string, { name, failures }: JunitCase): string {
  const told = failures.map(({ message, type, text }) => {
    return `<failure message="${asText(message)}" type="${asText(type)}">${asText(text)}</failure>`
  })
  return `<testcase classname="${command}" name="${asText(name)}">${told.join('')}</testcase>`
}

/** XML knows no control characters but three, in whatever form. */
function asText(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  const clean = [...text].filter(char => char >= ' ' || '\t\n\r'.includes(char)).join('')
  return clean.replaceAll(/[&<>"]/g, char => names[char] as string)
}
