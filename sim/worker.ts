/** One thread of workers.ts: loads a workflow when it is first asked for, and simulates what it is told to. */
import { setMaxListeners } from 'node:events'
import { workerData } from 'piscina'
import { defaultRegistry } from '../engine/node/node-registry.ts'
import { startFlowEngine } from './instance.ts'
import { openRegistryOf } from './registry-module.ts'
import { explain, type Found, type Outcome, runSeed } from './seed-run.ts'
import { loadSubject, type Source, type Subject } from './subject.ts'
import type { Task, WorkerData } from './workers.ts'

// all loops of a workflow listen to one signal, and eleven of them are no leak
setMaxListeners(0)

const { sources, registry: registryModule, over } = workerData as WorkerData
const shrinks = (): boolean => over === undefined || Atomics.load(over, 0) === 0
const registry = registryModule === undefined ? Promise.resolve(defaultRegistry()) : openRegistryOf(registryModule)
const subjects = new Map<number, Promise<Subject>>()

export default async function work(task: Task): Promise<Outcome | Found> {
  const subject = await subjectAt(task.subject)
  if ('job' in task) return await runSeed(subject, task.job, startFlowEngine)
  return await explain({ ...task.failed, subject }, { startEngine: startFlowEngine, load, shrinks })
}

async function load(source: Source): Promise<Subject> {
  return await loadSubject(source, await registry)
}

function subjectAt(n: number): Promise<Subject> {
  const subject = subjects.get(n) ?? load(sources[n] as Source)
  subjects.set(n, subject)
  return subject
}
