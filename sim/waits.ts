/**
 * Waiting on wake-up keys: each wait as on a connection of its own. A wake-up that was taken for a reply that gets lost
 * is gone, as it is with a real BLPOP; so whoever waits as the connection drops is told that there may have been one.
 * Nor does a wait that is given up end at once at the server: what it still takes is given back.
 */
import { ringKey } from '../engine/store/scripts/prelude.ts'
import type { Cancel } from './clock.ts'
import type { OperationName } from './faults.ts'
import { unavailable, type Wire } from './wire.ts'

type Wait = {
  name: OperationName
  key: string
  timeoutMs: number
  /** Undoes whatever is pending for it: a timer, a place in the server's line. */
  cancel: Cancel
  /** Stops listening for its abort. */
  forget: () => void
  /** Where it is: on its way or not sent yet, at the server, or on its way back with a wake-up. */
  at: 'way' | 'server' | 'woken'
  resolve: (woken: boolean) => void
  reject: (error: unknown) => void
}

export class SimWaits {
  readonly #wire: Wire
  readonly #waits = new Set<Wait>()
  /** Given up here, and still at the server. */
  readonly #lingering = new Set<Wait>()
  #isDead = false

  constructor(wire: Wire) {
    this.#wire = wire
  }

  wait(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return Promise.resolve(false)
    return new Promise((resolve, reject) => {
      if (this.#isDead) return
      const name = this.#wire.server.name('wait', /(?:bell|free|room):(.*)$/.exec(key)?.[1] ?? '')
      const abort = (): void => this.#giveUp(wait)
      const forget = (): void => signal?.removeEventListener('abort', abort)
      const cancel = (): void => undefined
      const wait: Wait = { name, key, timeoutMs, cancel, forget, at: 'way', resolve, reject }
      if (this.#wire.dies('before', name)) return
      this.#waits.add(wait)
      signal?.addEventListener('abort', abort, { once: true })
      if (this.#wire.book.take('refused', name) !== undefined) {
        this.#wire.fault('refused', name)
        this.#later(wait, () => this.#end(wait, () => reject(unavailable())))
      } else this.#depart(wait)
    })
  }

  /** Waits that have not ended. */
  get open(): number {
    return this.#waits.size
  }

  /** The connections are cut: nobody knows what they would have brought. */
  drop(): void {
    for (const wait of this.#waits) this.#maybe(wait)
  }

  die(): void {
    this.#isDead = true
    for (const wait of [...this.#waits, ...this.#lingering]) wait.cancel()
    this.#waits.clear()
    this.#lingering.clear()
  }

  #giveUp(wait: Wait): void {
    if (!this.#waits.delete(wait)) return
    wait.forget()
    wait.resolve(false)
    // the server hears of it after a while, and may wake it meanwhile
    if (wait.at === 'server') this.#linger(wait)
    else wait.cancel()
    if (wait.at === 'woken') this.#giveBack(wait)
  }

  #linger(wait: Wait): void {
    this.#lingering.add(wait)
    this.#soon(() => {
      wait.cancel()
      this.#lingering.delete(wait)
    })
  }

  #giveBack({ name, key }: Wait): void {
    const { server } = this.#wire
    const put = { ...server.name('wake', name.loop), args: [key], writes: true }
    this.#soon(() => server.execute({ ...put, run: db => ringKey(db, key) }))
  }

  #depart(wait: Wait): void {
    wait.cancel = this.#soon(() => this.#arrive(wait))
  }

  #arrive(wait: Wait): void {
    const { server } = this.#wire
    const outcome = server.execute({ ...wait.name, args: [wait.key], writes: true, run: db => db.lpop(wait.key) })
    if (outcome === undefined) return
    if (!outcome.ok) this.#reply(wait, () => wait.reject(outcome.error))
    else if (outcome.reply !== null) this.#woken(wait)
    else this.#park(wait)
  }

  #park(wait: Wait): void {
    const { server, time } = this.#wire
    wait.at = 'server'
    const unpark = server.memory.park(wait.key, () => {
      stop()
      this.#woken(wait)
    })
    const stop = time.after(wait.timeoutMs, () => {
      unpark()
      if (this.#waits.has(wait)) this.#reply(wait, () => wait.resolve(false))
    })
    wait.cancel = () => {
      unpark()
      stop()
    }
  }

  #woken(wait: Wait): void {
    const { book, fault } = this.#wire
    if (!this.#waits.has(wait)) {
      this.#giveBack(wait)
      return
    }
    wait.at = 'woken'
    if (this.#wire.dies('applied', wait.name)) return
    if (book.take('reply-lost', wait.name) !== undefined) {
      fault('reply-lost', wait.name)
      this.#maybe(wait)
    } else this.#reply(wait, () => wait.resolve(true))
  }

  #reply(wait: Wait, settle: () => void): void {
    wait.cancel = this.#soon(() => {
      if (!this.#wire.dies('replied', wait.name)) this.#end(wait, settle)
    })
  }

  #maybe(wait: Wait): void {
    wait.cancel()
    wait.at = 'way'
    this.#later(wait, () => this.#end(wait, () => wait.resolve(true)))
  }

  /** After the time that the way takes. */
  #soon(run: () => void): Cancel {
    const { local, draws, latencyMsMax } = this.#wire
    return local.after(draws.whole('latency', 1, latencyMsMax), run)
  }

  #later(wait: Wait, run: () => void): void {
    const { local, draws, comebackMsMax } = this.#wire
    wait.cancel = local.after(draws.whole('comeback', 1, comebackMsMax), run)
  }

  #end(wait: Wait, settle: () => void): void {
    if (!this.#waits.delete(wait)) return
    wait.cancel()
    wait.forget()
    settle()
  }
}
