/**
 * How figures are compared here: arms alternate in one run, each round gives one sample per arm, medians of all rounds are
 * set beside each other. Figures of different runs mean nothing on a machine that others use too; ratios of one do.
 */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** What one round of an arm gave, by unit: `{ 'items/s': 3100 }`. */
export type Sample = Readonly<Record<string, number>>

export type Arm = {
  name: string
  /** Runs once over `size` items, iterations or commands. */
  run(size: number): Promise<Sample>
}

export type OpenBench = { arms: readonly Arm[]; close(): Promise<void> }

export type Bench = {
  /** What one round does, for the headline. */
  title: string
  size: { full: number; quick: number }
  open(): Promise<OpenBench>
}

export type Measured = { name: string; samples: Sample[] }

/** One short round of each arm to warm up, then `rounds` alternating ones. */
export async function alternate(
  arms: readonly Arm[],
  options: { rounds: number; size: number; warmUp: number },
): Promise<Measured[]> {
  for (const arm of arms) await arm.run(options.warmUp)
  const measured = arms.map(arm => ({ name: arm.name, samples: [] as Sample[] }))
  for (let round = 0; round < options.rounds; round++) {
    for (const [i, arm] of arms.entries()) measured[i]?.samples.push(await arm.run(options.size))
  }
  return measured
}

/** Microseconds of CPU that this process has used: what it costs, however many others want the machine too. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Resident memory of a process. */
export function megabytesOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024
}

/** The line in which a process says that it is ready. Rejects when it ends without one. */
export function readyLine({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface({ input: stdout as NonNullable<typeof stdout> })
      .on('line', line => line.includes('ready: ') && resolve(line))
      .on('close', () => reject(new Error('The process ended before it was ready')))
  })
}

/** `of` 0.5 is the median. */
export function quantile(values: readonly number[], of: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))] ?? Number.NaN
}

/** A row per arm (median, lowest … highest round), then the ratio of the first arm to each other one. */
export function report(measured: readonly Measured[]): string {
  const units = Object.keys(measured[0]?.samples[0] ?? {})
  const values = (arm: Measured, unit: string) => arm.samples.map(sample => sample[unit] ?? Number.NaN)
  const rows = measured.map(arm => [
    arm.name,
    ...units.flatMap(unit => {
      const all = values(arm, unit)
      return [figure(quantile(all, 0.5)), `${figure(Math.min(...all))} … ${figure(Math.max(...all))}`]
    }),
  ])
  const [first, ...others] = measured
  for (const other of first === undefined ? [] : others) {
    const ratio = (unit: string) => quantile(values(first as Measured, unit), 0.5) / quantile(values(other, unit), 0.5)
    rows.push([`  ratio to ${other.name}`, ...units.flatMap(unit => [ratio(unit).toFixed(2), ''])])
  }
  return table([['', ...units.flatMap(unit => [unit, 'lowest … highest'])], ...rows])
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toString() : value.toPrecision(3)
}

function table(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map(row => row[i]?.length ?? 0)))
  const line = (row: string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join('  ')
  return rows.map(row => line(row).trimEnd()).join('\n')
}
