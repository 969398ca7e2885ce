/** `ps`: what runs where, as Redis has it: every workflow with its loops and who holds them, and every daemon. */
import {
  type DaemonProcess,
  describeWorkflow,
  knownWorkflowIds,
  listDaemons,
  type ReplicaProcess,
  requireKnownWorkflow,
  type WorkflowProcess,
} from '../../engine/store/processes.ts'
import type { Output } from '../output.ts'
import { type CommonOptions, findWorkflow, withRedis } from '../session.ts'
import { type AddCommand, withDataOption, withJson, withNodes, withRedisOption } from './command.ts'

export const addPs: AddCommand = (program, register) => {
  const command = program
    .command('ps')
    .description('what runs where: workflows, their loops and who holds them, daemons')
    .argument('[workflow]', 'only this one: its id, or its file')
  register(withNodes(withDataOption(withRedisOption(withJson(command)))), (out, [workflow], options) =>
    ps(out, workflow, options),
  )
}

async function ps(out: Output, word: string | undefined, options: CommonOptions): Promise<number> {
  const only = word === undefined ? undefined : (await findWorkflow(word, options)).id
  const { workflows, daemons } = await withRedis(options, out, async redis => {
    if (only !== undefined) await requireKnownWorkflow(redis, only)
    const there = await listDaemons(redis)
    const ids = only === undefined ? await knownWorkflowIds(redis) : [only]
    return { daemons: there, workflows: await Promise.all(ids.map(id => describeWorkflow(redis, id, there))) }
  })
  for (const workflow of workflows) out.json({ type: 'workflow', ...workflow })
  if (workflows.length === 0) out.text('no workflow ever ran here')
  else out.table(['workflow', 'run', 'status', 'loop', 'held by', 'lease', 'iterations'], workflows.flatMap(rowsOf))
  if (only === undefined) showDaemons(out, daemons)
  return 0
}

function rowsOf({ workflow_id, run, status, wish, loops }: WorkflowProcess): (string | number)[][] {
  const asked = wish !== '' && wish !== 'pause' ? `${status} (asked to ${wish})` : status
  const replicas = loops.flatMap(loop => loop.replicas.map(replica => ({ loop, replica })))
  if (replicas.length === 0) return [[workflow_id, run, asked, '', '', '', 0]]
  return replicas.map(({ loop, replica }, i) => {
    const head = i === 0 ? [workflow_id, run, asked] : ['', '', '']
    const name = loop.replicas.length > 1 ? `${loop.id}:${replica.replica}` : loop.id
    const paused = loop.wish === 'pause' ? `${name} (paused)` : name
    return [...head, paused, holderOf(replica), leaseOf(replica), replica.iterations]
  })
}

function holderOf({ holder }: ReplicaProcess): string {
  if (holder === null) return '–'
  return holder.host === null ? `process ${holder.pid}` : `${holder.host} ${holder.pid}`
}

function leaseOf({ holder, lease_left }: ReplicaProcess): string {
  return holder === null ? '–' : `${lease_left.toFixed(0)} s`
}

function showDaemons(out: Output, daemons: readonly DaemonProcess[]): void {
  for (const { host, pid, version, since, workflows, seen, id } of daemons) {
    out.json({ type: 'daemon', id, host, pid, version, since, workflows, seen })
  }
  out.text()
  if (daemons.length === 0) out.text('no daemon is running')
  else {
    const rows = daemons.map(({ host, pid, version, since, workflows, seen }) => {
      return [host, pid, version, new Date(since).toISOString(), workflows, `${seen.toFixed(1)} s ago`]
    })
    out.table(['daemon', 'pid', 'version', 'since', 'workflows', 'seen'], rows)
  }
}
