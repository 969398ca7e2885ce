/** What templates see: the names of spec 1.11, and nothing else. */
import type { JsonObject } from '../../json.ts'
import type { RuntimeVariables } from '../context.ts'

export type TemplateScope = {
  /** The data of the item that the node works on. */
  readonly data: JsonObject
  /** The workflow's `env`. */
  readonly workflowenv: JsonObject
  /** Variables of the run, shared by its loops. */
  readonly runtime: RuntimeVariables
  readonly iteration: JsonObject
}
