/**
 * A generated workflow lives under faults, and is recorded; then every iteration of the record is run again, without the
 * world, and must decide the same.
 */
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { allFaultKinds } from '../../sim/faults.ts'
import { generatePlan } from '../../sim/generate.ts'
import { generateSubject } from '../../sim/generate-workflow.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { recording } from '../../sim/recording.ts'
import { replayTrace } from '../../sim/replay.ts'
import { simulate } from '../../sim/world.ts'

const registry = defaultRegistry()
/** A node that misbehaves on purpose is another node than the one that is replayed. */
const faults = allFaultKinds.filter(kind => !kind.startsWith('node-'))

/** `wrong`: what is not identical, or what else there is to say against it; empty when there is nothing. */
export type Replayed = { seed: string; iterations: number; faults: number; wrong: string[] }

export async function recordAndReplay(seed: string, change = (lines: string[]) => lines): Promise<Replayed> {
  const subject = await generateSubject(seed, registry)
  const plan = generatePlan(subject, seed, faults)
  const { startEngine, lines } = recording(plan, startFlowEngine)
  const { failure, stats } = await simulate({ plan, ...subject, startEngine, trace: 'recent' })
  const wrong = failure === undefined ? [] : [`${failure.invariant}: ${failure.seen}`]
  const { iterations } = await replayTrace(change(lines), seed, {
    registry,
    onVerdict: (line, { kind, node_id, field }) =>
      wrong.push(`iteration ${line.iteration} of "${line.loop}" ${kind}: node "${node_id}", ${field}`),
  })
  if (iterations === 0) wrong.push('nothing was recorded')
  const applied = Object.values(stats.faults).reduce((sum, n) => sum + n, 0)
  return { seed, iterations, faults: applied, wrong }
}
