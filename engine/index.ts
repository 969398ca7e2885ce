/**
 * The engine as a library: load a workflow, give it ports, run it. Nodes of your own extend one of the five kinds.
 * The simulator is `theoneeye/sim`, the daemon's adapters (Redis, files, HTTP, clock) are `theoneeye/daemon`.
 */
export { EngineError, type ErrorCode, type ErrorRecord, errorCodes } from './errors.ts'
export { type DaemonHealth, type DaemonOptions, FlowDaemon, type ReloadReport } from './flow-daemon.ts'
export { type EngineOptions, type EngineStatus, FlowEngine, type RunEnd, type Status } from './flow-engine.ts'
export type { FlowGraph, FlowLoop, FlowNode, Plan, Problem, Queue, Workflow } from './graph/flow-graph.ts'
export { loadWorkflow, requireWorkflow } from './graph/load-workflow.ts'
export type { Json, JsonObject } from './json.ts'
export { limits } from './limits.ts'
export type { HttpCall, NodeContext, Response, RuntimeVariables } from './node/context.ts'
export * from './node/form.ts'
/** Makers of form fields: `defineForm({ url: fields.text({ label: 'URL' }) })`. */
export * as fields from './node/form-fields.ts'
export { FormState } from './node/form-state.ts'
export * from './node/node.ts'
export * from './node/node-registry.ts'
export { builtinNodes } from './nodes/index.ts'
export type * from './ports.ts'
export { type ApiAnswer, type ApiRequest, ApiRunner, type ApiRunnerOptions, unwrapInput } from './run/api-runner.ts'
export { type DevAnswer, type DevPush, type DevRequest, DevRunner, type DevRunnerOptions } from './run/dev-runner.ts'
export {
  type IntakeOptions,
  namesWebhook,
  type WebhookAnswer,
  WebhookIntake,
  type WebhookRequest,
} from './run/webhook-intake.ts'
export * from './store/definitions.ts'
export * from './store/inspect.ts'
export type { LoopSummary, RunSummary, StartMode } from './store/run-store.ts'
export { allScripts } from './store/scripts/index.ts'
export { setWish, type Wish } from './store/wishes.ts'
export type { DeadLetter, EngineEvent, EventSink } from './trace/events.ts'
