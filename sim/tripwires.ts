/**
 * The net under everything that is not the engine, and the wire that the engine must not touch. While a simulation runs,
 * the globals that read time or chance answer from the simulation; when engine code itself calls one, the run fails:
 * it went past its ports.
 */

import type { Cancel, SimTime } from './clock.ts'
import type { Draws } from './random.ts'

/** As they stand in stacks, whoever loaded the modules. */
const engineFolder = new URL('../engine/', import.meta.url).pathname
const thisFile = new URL(import.meta.url).pathname

/** What the host has under way that a simulation must never begin. */
const escapes = /^(FSReq|TCP|UDP|Pipe|GetAddrInfo|GetNameInfo|ChildProcess|HTTP|TLS|Worker)/

export type Tripwires = {
  /** Real resources beyond those there were at the beginning. */
  escaped(): string[]
  /** Drops the timers that were set through the globals: a crashed process has none. */
  dropTimers(): void
  restore(): void
}

type Globals = Pick<typeof globalThis, 'setTimeout' | 'clearTimeout' | 'setInterval' | 'clearInterval' | 'Date'>

/** Replaces the globals until `restore`. `onTouch` is told what engine code called, and from where. */
export function setTripwires(time: SimTime, draws: Draws, onTouch: (what: string, at: string) => void): Tripwires {
  const timers = new Map<number, Cancel>()
  let nextId = 1
  const touched = (what: string): void => {
    const caller = callerOf(new Error().stack)
    if (caller.includes(engineFolder))
      onTouch(
        what,
        caller.slice(caller.indexOf(engineFolder) + engineFolder.length - 'engine/'.length).replace(/\)$/, ''),
      )
  }
  const set = (what: string, run: () => void, repeat: (again: () => void) => void, ms: number): number => {
    touched(what)
    const id = nextId++
    const arm = (): void => {
      timers.set(id, time.after(ms, fire))
    }
    const fire = (): void => {
      timers.delete(id)
      repeat(arm)
      run()
    }
    arm()
    return id
  }
  const clear = (id: unknown): void => {
    timers.get(Number(id))?.()
    timers.delete(Number(id))
  }
  const once = (): void => undefined
  const fakes = {
    setTimeout: (run: () => void, ms = 0) => set('setTimeout', run, once, ms),
    setInterval: (run: () => void, ms = 0) => set('setInterval', run, arm => arm(), ms),
    clearTimeout: clear,
    clearInterval: clear,
    Date: fakeDate(time, touched),
  }
  const real: Partial<Globals> = {}
  for (const name of Object.keys(fakes) as (keyof Globals)[]) Object.assign(real, { [name]: globalThis[name] })
  const random = Math.random
  const baseline = count(process.getActiveResourcesInfo())
  Object.assign(globalThis, fakes)
  Math.random = () => {
    touched('Math.random')
    return draws.unit('global')
  }
  return {
    escaped: () => beyond(baseline, process.getActiveResourcesInfo()),
    dropTimers: () => {
      for (const cancel of timers.values()) cancel()
      timers.clear()
    },
    restore: () => {
      Object.assign(globalThis, real)
      Math.random = random
    },
  }
}

/** Whoever called the fake: the first frame that is not of this file. */
function callerOf(stack = ''): string {
  return stack.split('\n').find((line, i) => i > 0 && !line.includes(thisFile)) ?? ''
}

function fakeDate(time: SimTime, touched: (what: string) => void): DateConstructor {
  const now = (): number => {
    touched('Date.now')
    return time.wall()
  }
  return new Proxy(Date, {
    construct: (target, args, newTarget) => {
      if (args.length === 0) touched('new Date()')
      return Reflect.construct(target, args.length === 0 ? [time.wall()] : args, newTarget)
    },
    apply: target => {
      touched('Date()')
      return new target(time.wall()).toString()
    },
    get: (target, key, receiver) => (key === 'now' ? now : Reflect.get(target, key, receiver)),
  })
}

function count(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

function beyond(baseline: ReadonlyMap<string, number>, now: readonly string[]): string[] {
  return [...count(now)]
    .filter(([name, n]) => escapes.test(name) && n > (baseline.get(name) ?? 0))
    .map(([name]) => name)
}
