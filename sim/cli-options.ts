/** The words of `sim`, read: what is wrong with them is said before anything runs. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { codeOf, messageOf } from '../engine/errors.ts'
import { usage } from './cli-targets.ts'
import { allFaultKinds, type FaultKind, isFaultKind } from './faults.ts'

export type SimOptions = {
  seeds?: string
  seed: string
  faults: string
  out: string
  plan?: string
  timeBudget?: string
  workers: string
  save?: boolean
  junit?: string
  files?: string
  nodes?: string
  mutants?: boolean
  crashSweep?: boolean
  real?: boolean
  redis?: string
  json?: boolean
}

export type Settings = {
  seeds: number
  firstSeed: number
  faults: readonly FaultKind[]
  budgetMs: number | undefined
  workers: number
}

/** Each is a thread with an engine of its own, some 100 MB. */
const workersMax = 64

export function readOptions(options: SimOptions): Settings {
  const whole = (name: string, value: string): number => {
    const number = value.trim() === '' ? Number.NaN : Number(value)
    if (Number.isSafeInteger(number) && number >= 0) return number
    throw usage(`--${name} is "${value}", not a whole number; give one such as 200 or 0x5eed`)
  }
  const workers = whole('workers', options.workers)
  if (workers > workersMax) throw usage(`--workers is ${workers}; give at most ${workersMax}, best one per core`)
  return {
    seeds: whole('seeds', options.seeds ?? (options.mutants === true ? '500' : '200')),
    firstSeed: whole('seed', options.seed),
    faults: readFaults(options.faults),
    workers,
    budgetMs: readBudget(options.timeBudget),
  }
}

function readBudget(budget: string | undefined): number | undefined {
  if (budget === undefined) return undefined
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(budget) ?? []
  if (number === undefined) throw usage(`--time-budget is "${budget}"; give one such as 60s`)
  return Number(number) * ({ ms: 1, s: 1_000, m: 60_000 }[unit] as number)
}

function readFaults(text: string): readonly FaultKind[] {
  if (text === 'all') return allFaultKinds
  if (text === 'none') return []
  const kinds = text.split(',').map(kind => kind.trim())
  const unknown = kinds.find(kind => !isFaultKind(kind))
  if (unknown === undefined) return kinds as FaultKind[]
  throw usage(`there is no kind of fault "${unknown}"; there are ${allFaultKinds.join(', ')}, and none and all`)
}

/** Rejects with `USAGE` when what is found could not be written where it is wanted. */
export async function checkPlaces({ out, junit }: SimOptions): Promise<void> {
  await checkFolder('--out', out)
  if (junit !== undefined) await checkFolder('--junit', dirname(junit), 'that is there')
}

/** A folder that is there and can be written, or whose nearest one above can. */
async function checkFolder(option: string, path: string, wanted?: 'that is there'): Promise<void> {
  let folder = resolve(path)
  try {
    for (;;) {
      const found = await stat(folder).catch(error => {
        if (codeOf(error) !== 'ENOENT' || wanted !== undefined || folder === '/') throw error
      })
      if (found?.isDirectory() === false) throw new Error(`"${folder}" is no folder`)
      if (found !== undefined) return await access(folder, constants.W_OK)
      folder = dirname(folder)
    }
  } catch (error) {
    throw usage(`nothing can be written to "${path}": ${messageOf(error)}; give ${option} a place that can be written`)
  }
}
