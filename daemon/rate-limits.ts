/**
 * How often each may ask, over all daemons of one Redis. A daemon takes some requests at once out of what is left of the
 * minute and gives them out itself, so that a limit of thousands costs a call per hundred requests; who is over the limit
 * costs none until the minute is over. Without Redis nobody is held up: what needs it fails on its own.
 */
import { isIP } from 'node:net'
import type { Ports } from '../engine/ports.ts'
import { spendRate } from '../engine/store/rates.ts'

/** Of a limit, the part that is taken at once, and how much that is at most. */
const sharesOfLimit = 100
const takenMax = 100
/** So many are remembered; beyond, those whose minute is over are forgotten, and if need be all. */
const knownMax = 10_000
/** While Redis is away. */
const blindMs = 1_000

/** Whoever has an IPv6 address has the 2^64 beside it, too. */
export function askerAt(address: string): string {
  if (isIP(address) !== 6 || address.includes('.')) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const groups = (part: string) => part.split(':').filter(Boolean)
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail ?? '')]
  return `${all.slice(0, 4).join(':')}::/64`
}

type Share = {
  left: number
  /** Of the minute that it is a part of; by the monotonic clock. */
  untilMs: number
  isSpent: boolean
  asking?: Promise<void> | undefined
}

export class RateLimits {
  readonly #ports: Pick<Ports, 'redis' | 'clock' | 'random'>
  readonly #shares = new Map<string, Share>()

  constructor(ports: Pick<Ports, 'redis' | 'clock' | 'random'>) {
    this.#ports = ports
  }

  /** Counts a request. 0 when it may go on, else after how many seconds to ask again. A limit of 0 is none. */
  async count(who: string, limit: number): Promise<number> {
    if (limit === 0) return 0
    for (;;) {
      const now = this.#ports.clock.monotonic()
      const share = this.#shareOf(who, now)
      if (share.left > 0) {
        share.left -= 1
        return 0
      }
      if (share.isSpent) return Math.ceil((share.untilMs - now) / 1_000)
      share.asking ??= this.#take(who, limit, share)
      await share.asking
    }
  }

  #shareOf(who: string, now: number): Share {
    const known = this.#shares.get(who)
    if (known !== undefined && now < known.untilMs) return known
    if (this.#shares.size >= knownMax) this.#forget(now)
    const share: Share = { left: 0, untilMs: Number.POSITIVE_INFINITY, isSpent: false }
    this.#shares.set(who, share)
    return share
  }

  #forget(now: number): void {
    for (const [who, { untilMs }] of this.#shares) if (untilMs <= now) this.#shares.delete(who)
    if (this.#shares.size >= knownMax) this.#shares.clear()
  }

  async #take(who: string, limit: number, share: Share): Promise<void> {
    const { redis, clock, random } = this.#ports
    const wanted = Math.min(takenMax, Math.ceil(limit / sharesOfLimit))
    const call = { who, limit, wanted, token: random.nonce('rates') }
    const { granted, leftMs } = await spendRate(redis, call).catch(() => ({ granted: wanted, leftMs: blindMs }))
    share.left = granted
    share.isSpent = granted === 0
    share.untilMs = clock.monotonic() + leftMs
    share.asking = undefined
  }
}
