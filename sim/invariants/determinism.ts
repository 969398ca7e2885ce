/**
 * A run is a function of its plan: run again, it leaves the same trace, line by line. Whole runs are compared, not single
 * moments, so this is asked by whoever runs a plan twice (seed-run.ts), and not by the world.
 */

export type TraceDifference = {
  expected: string
  seen: string
  /** Milliseconds since the beginning. */
  at: number
}

/** The first line in which two traces of one plan differ; undefined when there is none. */
export function determinism(first: readonly string[], again: readonly string[]): TraceDifference | undefined {
  const length = Math.max(first.length, again.length)
  for (let i = 0; i < length; i++) {
    const [expected, seen] = [first[i], again[i]]
    if (expected === seen) continue
    const { ms = 0 } = JSON.parse(expected ?? seen ?? '{}') as { ms?: number }
    return { expected: expected ?? 'the trace ends here', seen: seen ?? 'the trace ends here', at: ms }
  }
  return undefined
}
