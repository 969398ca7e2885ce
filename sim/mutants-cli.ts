/**
 * `sim --mutants`: plants all bugs, several at a time, and tells of each in the order of the list. Before them the canary,
 * a bug so gross that every single seed must find it: if it lives, no other figure means anything, and all is red.
 */
import { availableParallelism } from 'node:os'
import { type Hunt, hunt } from './mutant-hunt.ts'
import { canary, type Mutant, mutants } from './mutants.ts'

export type MutantsIo = { isJson: boolean; out(line: string): void; progress(line: string): void }
export type MutantsOptions = {
  seedsMax: number
  firstSeed: number
  workers: number
  /** All that there are, unless told. */
  mutants?: readonly Mutant[]
  canary?: Mutant
}

/** Each of so many seeds must find the canary. */
const canarySeeds = 5

/** 0 when each was found by one of its invariants, or need not be; 1 when one survived, or the canary did. */
export async function runMutants(options: MutantsOptions, io: MutantsIo): Promise<number> {
  const all = options.mutants ?? mutants
  if (!(await tellCanary(options, io))) return 1
  const hunts = await huntAll(all, options, (done, told) => {
    io.progress(`${done} of ${all.length} mutants`)
    for (const [mutant, found] of told) io.out(io.isJson ? inJson(mutant, found) : inWords(mutant, found))
  })
  io.progress('')
  const summary = summarise(all, hunts)
  const { caught, survived, excused, median_seeds: median } = summary
  const explained = excused > 0 ? ` (${excused} of them explained)` : ''
  const words = `${caught} of ${all.length} mutants found, ${survived} survived${explained}; median ${median ?? 'none'} seeds`
  io.out(io.isJson ? JSON.stringify({ type: 'summary', ...summary }) : words)
  return survived === excused ? 0 : 1
}

/** False, and said, when a seed does not find it. */
async function tellCanary({ firstSeed, canary: bird = canary }: MutantsOptions, io: MutantsIo): Promise<boolean> {
  for (let n = 0; n < canarySeeds; n++) {
    const found = await hunt(bird, { seedsMax: 1, firstSeed: firstSeed + n })
    if (isCaught(bird, found)) continue
    const seed = `0x${(firstSeed + n).toString(16)}`
    const words = `the canary was not found with seed ${seed}: what is green below this line would mean nothing`
    io.out(io.isJson ? JSON.stringify({ type: 'canary', caught: false, seed }) : words)
    return false
  }
  return true
}

type Told = [Mutant, Hunt]

/** `tell` is called as hunts end, with those whose turn in the list has come. */
async function huntAll(
  all: readonly Mutant[],
  { workers, seedsMax, firstSeed }: MutantsOptions,
  tell: (done: number, told: Told[]) => void,
): Promise<Hunt[]> {
  const hunts: Hunt[] = []
  let [next, done, told] = [0, 0, 0]
  const lane = async (): Promise<void> => {
    while (next < all.length) {
      const at = next++
      hunts[at] = await hunt(all[at] as Mutant, { seedsMax, firstSeed })
      const ready: Told[] = []
      for (; hunts[told] !== undefined; told++) ready.push([all[told] as Mutant, hunts[told] as Hunt])
      tell(++done, ready)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(workers, availableParallelism())) }, lane))
  return hunts
}

function isCaught({ caughtBy }: Mutant, found: Hunt): boolean {
  return found.caughtBy !== undefined && caughtBy.includes(found.caughtBy)
}

function inJson(mutant: Mutant, found: Hunt): string {
  const { name, caughtBy = null, seeds } = found
  const why = mutant.survives === undefined ? {} : { survives: mutant.survives }
  return JSON.stringify({ type: 'mutant', name, caught_by: caughtBy, seeds, ...why })
}

function inWords(mutant: Mutant, found: Hunt): string {
  const { name, caughtBy, seeds } = found
  if (caughtBy === undefined) {
    const why = mutant.survives === undefined ? '' : `, because ${mutant.survives}`
    return `${name}: survived ${seeds} seeds${why}`
  }
  const wrong = isCaught(mutant, found)
    ? ''
    : `; it is meant for ${mutant.caughtBy.join(', ')}, so that counts as survived`
  return `${name}: found by ${caughtBy} after ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}${wrong}`
}

function summarise(all: readonly Mutant[], hunts: readonly Hunt[]) {
  const caught = hunts.filter((found, i) => isCaught(all[i] as Mutant, found))
  const survived = all.filter((mutant, i) => !isCaught(mutant, hunts[i] as Hunt))
  const seeds = caught.map(found => found.seeds).sort((a, b) => a - b)
  return {
    caught: caught.length,
    survived: survived.length,
    /** Those among the survivors that say why nothing can find them. */
    excused: survived.filter(mutant => mutant.survives !== undefined).length,
    median_seeds: seeds[Math.floor(seeds.length / 2)] ?? null,
  }
}
