/** Records what the engine does in a simulation, in the form that `replay` reads. It changes nothing of what happens. */
import type { JsonObject } from '../engine/json.ts'
import { openTrace, type TraceSink } from '../engine/trace/trace.ts'
import type { StartEngine } from './instance.ts'
import type { Plan } from './plan.ts'

/** `startEngine` for the simulation; `lines` holds the header and all iterations once it has run. */
export function recording(plan: Plan, startEngine: StartEngine): { startEngine: StartEngine; lines: string[] } {
  const lines: string[] = []
  let record: TraceSink | undefined
  const about = { engine: 'simulated', source: plan as unknown as JsonObject }
  const start: StartEngine = options => {
    record ??= openTrace(options.graph, about, line => lines.push(line))
    const recordOf = (): TraceSink | undefined => record
    return Object.assign(startEngine({ ...options, recordOf }), { recordOf })
  }
  return { startEngine: start, lines }
}
