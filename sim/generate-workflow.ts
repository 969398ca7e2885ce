/**
 * Workflows nobody wrote: fast-check draws a flat list of loops, each a flat list of steps, and this file wires them so
 * that the loader always accepts them. Every item carries a number `n` that no step lets shrink, which is what
 * conditions, failures and the ends of cycles hang on; so every workflow ends on its own.
 */
import fc from 'fast-check'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import { hashUnit } from '../engine/hash.ts'
import type { JsonObject } from '../engine/json.ts'
import type { Pool } from '../engine/node/node.ts'
import { defaultRegistry, type NodeRegistry } from '../engine/node/node-registry.ts'
import { buildSteps, type StepKind, stepKinds } from './generate-steps.ts'
import { loadSubject, type Source, type Subject } from './subject.ts'
import { WorkflowDraft } from './workflow-draft.ts'

type LoopDraw = {
  /** The first loop, and those that draw so, begin on their own; the others read from loops before them. */
  producer: 'counter' | 'strings' | 'file' | 'timer' | 'reader' | 'webhook'
  items: number
  /** Which loops before it this one reads from. */
  sources: number[]
  joinedBy: 'edge' | 'name'
  steps: { kind: StepKind; size: number }[]
  end: 'queue' | 'file'
  /** Which reader its items go back to, until they have made their rounds. */
  back: number | undefined
  replicas: number
  pool: Pool
}

export type WorkflowDraw = { loops: LoopDraw[]; queueLength: number }

/** Who begins the first loop: itself, or people who ask over HTTP. */
export type Begin = 'own' | 'webhook' | 'api'

/** By how many loops there are: the more of them an item passes, the fewer items there are, or some lives would take all the time. */
const itemsFactor = [1, 3.3, 1.68, 1.1, 0.63]

/** More than any queue here comes to hold. */
const unlimited = 10_000

const step = fc.record({ kind: fc.constantFrom(...stepKinds), size: fc.integer({ min: 0, max: 5 }) })

const loop: fc.Arbitrary<LoopDraw> = fc.record({
  producer: fc.constantFrom('counter', 'strings', 'file', 'timer', 'reader', 'reader', 'reader', 'reader'),
  items: fc.oneof(
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 9, arbitrary: fc.integer({ min: 26, max: 40 }) },
  ),
  sources: fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 2 }),
  joinedBy: fc.constantFrom('edge', 'edge', 'name'),
  steps: fc.array(step, { maxLength: 3 }),
  end: fc.constantFrom('queue', 'queue', 'queue', 'file'),
  back: fc.option(fc.nat({ max: 7 }), { freq: 5, nil: undefined }),
  replicas: fc.constantFrom(1, 1, 2, 3),
  pool: fc.constantFrom<Pool[]>('async', 'async', 'thread', 'process'),
})

/** Draws of workflows: flat arrays only, for whoever wants to shrink them. */
export const workflowDraws: fc.Arbitrary<WorkflowDraw> = fc.record({
  loops: fc.oneof(
    { weight: 2, arbitrary: fc.array(loop, { minLength: 1, maxLength: 1 }) },
    { weight: 8, arbitrary: fc.array(loop, { minLength: 2, maxLength: 3 }) },
    { weight: 2, arbitrary: fc.array(loop, { minLength: 4, maxLength: 4 }) },
  ),
  queueLength: fc.constantFrom(unlimited, unlimited, 0, 1, 2, 5),
})

/** The workflow of a draw, and the files that it reads. */
export function workflowOfDraw(
  draw: WorkflowDraw,
  begun: Begin = 'own',
): { workflow: JsonObject; files: Record<string, string> } {
  if (begun === 'api') return { workflow: apiOfDraw(draw), files: {} }
  const draft = new WorkflowDraft()
  const files: Record<string, string> = {}
  const writers: string[] = []
  const readers: { index: number; node: string }[] = []
  const factor = itemsFactor[draw.loops.length] ?? 1
  for (const [index, drawn] of draw.loops.entries()) {
    const each = { ...drawn, items: Math.ceil(drawn.items * factor) }
    const isAsked = begun === 'webhook' && index === 0
    const isReader = each.producer === 'reader' && index > 0
    const begin = isReader
      ? undefined
      : beginLoop(draft, isAsked ? { ...each, producer: 'webhook' } : each, `p${index}`, files)
    if (begin === undefined) readers.push({ index, node: draft.add(`r${index}`, 'queue-reader', {}) })
    draft.from([{ node: begin ?? `r${index}` }])
    buildSteps(draft, each.steps, `l${index}`)
    writers.push(endLoop(draft, each, index, readers))
    if (isReader && !draft.keepsState(`r${index}`)) draft.setLoop(`r${index}`, { replicas: each.replicas })
    if (each.pool !== 'async') draft.setLoop(begin ?? `r${index}`, { pool: each.pool })
  }
  for (const { index, node } of readers) connect(draft, draw.loops[index] as LoopDraw, { index, node, writers })
  const loose = writers.filter(writer => !draft.isConnected(writer) && draft.form(writer).queue_name === undefined)
  if (draw.queueLength > 0 && draw.queueLength < unlimited) drain(draft, loose)
  else for (const writer of loose) draft.form(writer).queue_name = `done_${writer}`
  return { workflow: draft.workflow(draw.queueLength), files }
}

/** One loop, and one pass of it a request; what it pushes nobody reads. */
function apiOfDraw({ loops, queueLength }: WorkflowDraw): JsonObject {
  const draft = new WorkflowDraft()
  const { steps, end, items } = loops[0] as LoopDraw
  draft.add('ask', 'webhook-producer', { webhook_id: 'ask' })
  draft.from([{ node: 'ask' }])
  // there is no loop that work could be put behind
  const kinds = steps.filter(({ kind }) => kind !== 'background')
  buildSteps(draft, kinds, 'l0')
  if (end === 'file') draft.next('note', 'file-writer', fileForm('asked.log'))
  draft.next('out', 'queue-writer', { queue_name: 'done' })
  if (items % 2 === 0) draft.next('say', 'http-response', { status_code: 201 })
  return { ...draft.workflow(queueLength), type: 'api' }
}

/** A queue that nobody reads would fill, and everything before it would wait for ever. */
function drain(draft: WorkflowDraft, writers: readonly string[]): void {
  if (writers.length === 0) return
  const reader = draft.add('drain', 'queue-reader', {})
  for (const writer of writers) draft.connect(writer, reader)
  draft.from([{ node: reader }])
  draft.next('drained', 'file-writer', fileForm('drained.log'))
}

/** A producer of its own, and a node that gives each of its items its number. */
function beginLoop(draft: WorkflowDraft, each: LoopDraw, id: string, files: Record<string, string>): string {
  const lines = Array.from({ length: each.items }, (_, i) => `line ${i + 1}`).join('\n')
  const number = (path: string): string => {
    draft.from([{ node: id }])
    return draft.next(`${id}n`, 'data-transformer', { output_template: `{"n": "{{ data.${path} }}"}`, overwrite: true })
  }
  if (each.producer === 'strings') {
    draft.add(id, 'string-iterator-producer', { data_content: lines, separator_type: 'newline' })
    return number('string_iterator.iteration_index')
  }
  if (each.producer === 'file') {
    files[`${id}.txt`] = lines
    draft.add(id, 'file-reader', { file_path: `${id}.txt`, format: 'lines' })
    return number('file_reader.index')
  }
  if (each.producer === 'webhook') {
    draft.add(id, 'webhook-producer', { webhook_id: id })
    return number('webhook.data.body.n')
  }
  if (each.producer === 'timer') {
    const limit = Math.min(each.items, 5)
    draft.add(id, 'timer', { interval: 1 + (each.items % 2), unit: 'seconds', limit })
    return number('timer.iteration')
  }
  draft.add(id, 'counter', { min_value: 1, max_value: each.items })
  return number('counter.current')
}

/** The last node, a writer: to whoever reads this loop; before it a file, or a way back for another round. */
function endLoop(
  draft: WorkflowDraft,
  each: LoopDraw,
  index: number,
  readers: readonly { index: number; node: string }[],
): string {
  const id = `l${index}`
  if (each.end === 'file') draft.next(`${id}f`, 'file-writer', fileForm(`${id}.log`))
  const target = each.back === undefined ? undefined : readers[each.back % readers.length]
  if (target !== undefined && !draft.isInBackground) {
    draft.next(`${id}round`, 'data-transformer', { output_template: '{"n": "{{ data.n + 100 }}"}', overwrite: true })
    const again = draft.next(`${id}again`, 'if-condition', { condition_expression: 'data.n < 250' })
    draft.from([{ node: again, handle: 'yes' }])
    draft.connect(draft.next(`${id}back`, 'queue-writer', {}), target.node)
    draft.from([{ node: again, handle: 'no' }])
  }
  return draft.next(`${id}out`, 'queue-writer', {})
}

export function fileForm(path: string): JsonObject {
  return { file_path: path, mode: 'a', content: '{{ data.n }}' }
}

/** A reader to the writers of loops before it, by edges or by the name of a queue. */
function connect(
  draft: WorkflowDraft,
  each: LoopDraw,
  at: { index: number; node: string; writers: readonly string[] },
): void {
  const sources = [...new Set(each.sources.map(source => at.writers[source % at.index] as string))]
  const [first = ''] = sources
  const isFree = !draft.isConnected(first) && !draft.isConnected(at.node) && draft.form(first).queue_name === undefined
  if (each.joinedBy === 'name' && isFree) {
    draft.form(first).queue_name = `q_${at.node}`
    draft.form(at.node).queue_name = `q_${at.node}`
    return
  }
  const open = sources.filter(writer => draft.form(writer).queue_name === undefined)
  for (const writer of open) draft.connect(writer, at.node)
  if (open.length > 0 || draft.isConnected(at.node)) return
  draft.form(at.node).queue_name = draft.form(first).queue_name as string
}

/** The draw of a seed. */
export function drawWorkflow(seed: string): WorkflowDraw {
  const number = Math.floor(hashUnit(`${seed}|workflow`) * 2 ** 31)
  const [draw] = fc.sample(fc.noBias(workflowDraws), { seed: number, numRuns: 1 })
  return draw as WorkflowDraw
}

/** Most workflows begin on their own. */
function drawBegin(seed: string): Begin {
  const drawn = hashUnit(`${seed}|begin`)
  if (drawn < askedShare) return 'webhook'
  return drawn < 2 * askedShare ? 'api' : 'own'
}

const askedShare = 0.06

/** The workflow of a seed, loaded. Rejects with `WORKFLOW_INVALID` only if this file is wrong. */
export function generateSubject(seed: string, registry: NodeRegistry): Promise<Subject> {
  return loadSubject(sourceOf(seed), registry)
}

function sourceOf(seed: string): Source {
  return { name: 'generated', ...workflowOfDraw(drawWorkflow(seed), drawBegin(seed)) }
}

/** Stands for the workflows of all seeds. */
export async function generatedSubjects(registry: NodeRegistry): Promise<Subject> {
  return { ...(await generateSubject('0x0', registry)), perSeed: true }
}

/** What a plan of this seed is made for: this very subject, or the workflow of the seed. */
export function plannedFor(subject: Omit<Subject, 'expected'>, seed: string): Omit<Subject, 'expected'> {
  if (subject.perSeed !== true) return subject
  const source = sourceOf(seed)
  return { ...source, graph: requireWorkflow(source.workflow, { registry: defaultRegistry(), name: source.name }) }
}

/** The same, with what the reference makes of it. */
export async function simulatedFor(subject: Subject, seed: string): Promise<Subject> {
  return subject.perSeed === true ? await generateSubject(seed, defaultRegistry()) : subject
}
