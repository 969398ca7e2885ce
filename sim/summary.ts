/** The figures at the end: what was done, how much of it, and whether all of it held. */
import type { Exploration, Progress } from './explore.ts'

/** For people. `echoed` is a request that had no handler. */
export function summaryInWords(summary: Summary, echoed?: string): string[] {
  const { runs, failures, inconclusive, commits, crashes, never_reached: never } = summary
  const faults = Object.values(summary.faults_applied).reduce((sum, n) => sum + n, 0)
  const did = `${commits} commits, ${faults} faults applied, ${crashes} crashes`
  const time = `${Math.round(summary.simulated_ms / 1000)} s simulated in ${(summary.wall_ms / 1000).toFixed(1)} s`
  return [
    ...(echoed === undefined
      ? []
      : [`nobody says what answers "${echoed}": such requests got a plain 200 with an echo`]),
    ...(never.length === 0 ? [] : [`never reached: ${never.join('; ')}`]),
    `${runs} runs, ${failures} failures, ${inconclusive} inconclusive; ${did}; ${time}`,
    `trace hash ${summary.trace_hash ?? 'none: it was cut short, or time decided how far it got'}`,
  ]
}

export type Summary = ReturnType<typeof summarise>

export function summarise(done: readonly Exploration[], tookMs: number) {
  const sum = (of: (each: Exploration) => number): number => done.reduce((total, each) => total + of(each), 0)
  const faults: Record<string, number> = {}
  for (const each of done) {
    for (const [kind, n] of Object.entries(each.faults)) faults[kind] = (faults[kind] ?? 0) + n
  }
  // stored plans come first; the hash is that of generated ones
  const last = done.at(-1)
  return {
    type: 'summary',
    runs: sum(each => each.runs),
    failures: sum(each => each.found.length) - sum(each => each.inconclusive),
    inconclusive: sum(each => each.inconclusive),
    simulated_ms: sum(each => each.totals.simulatedMs),
    iterations: sum(each => each.totals.iterations),
    commits: sum(each => each.totals.commits),
    faults_applied: faults,
    /** Half of the generated runs did more than that. */
    median_commits: last?.medians.commits ?? 0,
    median_faults: last?.medians.faults ?? 0,
    crashes: sum(each => each.totals.crashes),
    wall_ms: tookMs,
    trace_hash: last?.traceHash ?? null,
    never_reached: last?.neverReached ?? [],
  }
}

/** While it goes on. */
export function progressInWords({ run, of, failures, simulatedMs, situations }: Progress, tookMs: number): string {
  const rate = tookMs > 0 ? Math.round((run * 1_000) / tookMs) : 0
  const simulated = `${Math.round(simulatedMs / 1_000)} s simulated`
  return `${run} of ${of} runs, ${failures} failures; ${simulated}, ${rate} runs/s, ${situations} situations`
}
