/**
 * `start|stop|pause|resume|kill WORKFLOW [LOOP]`: asks for a state through Redis. Whichever daemon serves the workflow
 * acts on it, now or when it comes; this process only asks, and may wait for what it asked for.
 */
import { EngineError } from '../../engine/errors.ts'
import type { Redis } from '../../engine/ports.ts'
import {
  describeWorkflow,
  listDaemons,
  requireKnownLoop,
  requireKnownWorkflow,
  type WorkflowProcess,
} from '../../engine/store/processes.ts'
import { setWish, type Wish } from '../../engine/store/wishes.ts'
import type { Output } from '../output.ts'
import { type CommonOptions, findWorkflow, withRedis } from '../session.ts'
import { systemClock, systemRandom } from '../system-ports.ts'
import { type AddCommand, seconds, withDataOption, withJson, withNodes, withRedisOption } from './command.ts'

type Verb = 'start' | 'stop' | 'pause' | 'resume' | 'kill'
type Options = CommonOptions & { wait?: number }
type Target = { workflow: string; loop: string }

const pollMs = 200

const descriptions: Record<Verb, string> = {
  start: 'go on with a stopped or paused workflow, or begin a new run of a complete one',
  stop: 'drain a workflow wherever it runs; it stays stopped until somebody starts it',
  pause: 'let running iterations end and begin no other, of a workflow or one of its loops',
  resume: 'end a pause, of a workflow or one of its loops; a loop that was given up starts again',
  kill: 'abort a workflow at once wherever it runs; what was claimed is processed again later',
}

export const addWishes: AddCommand = (program, register) => {
  for (const verb of Object.keys(descriptions) as Verb[]) {
    const command = program
      .command(verb)
      .description(descriptions[verb])
      .argument('<workflow>', 'its id, or its file')
      .option('--wait <seconds>', 'wait until it is so, at most so long; else fail', seconds)
    if (verb === 'pause' || verb === 'resume') command.argument('[loop]', "the loop, by its producer's node id")
    register(withNodes(withDataOption(withRedisOption(withJson(command)))), (out, [workflow, loop], options) =>
      ask(out, { verb, workflow, loop: loop ?? '' }, options),
    )
  }
}

async function ask(out: Output, request: Target & { verb: Verb }, options: Options): Promise<number> {
  const { verb, loop } = request
  const { id: workflow } = await findWorkflow(request.workflow, options)
  return withRedis(options, out, async redis => {
    // a file names its workflow for certain, whether it ever ran or not
    if (workflow === request.workflow) await requireKnownWorkflow(redis, workflow)
    if (loop !== '') await requireKnownLoop(redis, workflow, loop)
    const said = await put(redis, { workflow, loop }, verb)
    const [daemons, state] = await look(redis, workflow)
    out.json({ type: 'asked', workflow_id: workflow, loop: loop || null, wish: verb, status: state.status, daemons })
    out.text(`${loop === '' ? workflow : `loop ${loop} of ${workflow}`}: ${said}`)
    const isServed = state.loops.some(each => each.replicas.some(({ holder }) => holder !== null))
    if (daemons === 0 && !isServed) {
      out.note('note: no daemon is running and nobody serves the workflow; the wish is kept for whoever comes next')
    }
    return options.wait === undefined ? 0 : await waitFor(redis, out, { verb, workflow, seconds: options.wait })
  })
}

/** Puts the wish down; what to tell about it. */
async function put(redis: Redis, target: Target, verb: Verb): Promise<string> {
  if (verb === 'resume' && target.loop !== '') {
    await setWish(redis, target, `try:${systemRandom().nonce('try')}`)
    return 'goes on, also if it was given up'
  }
  if (verb === 'resume') {
    const answer = await setWish(redis, target, '', 'pause')
    if (!('differs' in answer)) return 'is not paused any more'
    const hint = `to start it, say "theoneeye start ${target.workflow}"; to have a loop go on that was given up, name it`
    throw new EngineError(
      'USAGE',
      `Cannot resume "${target.workflow}": it is not paused but ${answer.differs}; ${hint}`,
    )
  }
  const wish: Wish = verb === 'start' ? `run:${systemRandom().nonce('run')}` : verb
  const answer = await setWish(redis, target, wish)
  const status = 'status' in answer ? answer.status : ''
  if (verb !== 'start') return { stop: 'stops', pause: 'pauses', kill: 'is killed' }[verb]
  return status === 'running' ? 'goes on with its unfinished run' : 'begins a new run'
}

async function look(redis: Redis, workflow: string): Promise<[number, WorkflowProcess]> {
  const daemons = await listDaemons(redis)
  return [daemons.length, await describeWorkflow(redis, workflow, daemons)]
}

/** 0 when it came about in time, else 1. */
async function waitFor(redis: Redis, out: Output, what: { verb: Verb; workflow: string; seconds: number }) {
  const clock = systemClock()
  const untilMs = clock.monotonic() + what.seconds * 1000
  for (;;) {
    const [, { status, wish }] = await look(redis, what.workflow)
    if (isThere(what.verb, status, wish)) {
      out.text(`${what.workflow} is ${status}`)
      return 0
    }
    if (clock.monotonic() >= untilMs) {
      out.note(`error: "${what.workflow}" is ${status} after ${what.seconds} s; see "theoneeye ps ${what.workflow}"`)
      return 1
    }
    await clock.sleep(pollMs)
  }
}

function isThere(verb: Verb, status: WorkflowProcess['status'], wish: string): boolean {
  if (verb === 'stop' || verb === 'kill') return status === 'stopped' || status === 'completed'
  if (verb === 'pause') return status === 'paused'
  return status === 'running' || (status === 'completed' && wish === '')
}
