/**
 * The simulator as a library, for tests of workflows: `theoneeye/sim`. One simulation at a time may run in a process; it
 * replaces the globals that read time and chance while it does.
 */
export { type Exploration, type ExploreOptions, explore, type Found, replayPlans, seedName } from './explore.ts'
export { allFaultKinds, type FaultKind, faultKinds } from './faults.ts'
export { generatePlan } from './generate.ts'
export { generateSubject, workflowDraws, workflowOfDraw } from './generate-workflow.ts'
export { type Items, type Left, type Simulated, type SimulateOptions, SimulationFailed, simulate } from './library.ts'
export { type Plan, type PlanEvent, type PlanSettings, parsePlan } from './plan.ts'
export { loadSubject, type Subject } from './subject.ts'
export type { Failure, FailureKind, RunResult, Stats } from './world.ts'
