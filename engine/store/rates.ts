/** How often somebody may ask within a minute, counted over all daemons (4.3). */
import { limits } from '../limits.ts'
import type { Redis } from '../ports.ts'
import { ratePrefix } from './keys.ts'
import { spend } from './scripts/spend.ts'

/** `granted` requests may go on; 0 when the limit is reached. The window lasts for another `leftMs`. */
export type Spent = { granted: number; leftMs: number }

/** Takes at most `wanted` out of `limit`. `token` makes it the same call when it is sent again. Rejects with `REDIS_…`. */
export async function spendRate(
  redis: Redis,
  { who, limit, wanted, token }: { who: string; limit: number; wanted: number; token: string },
): Promise<Spent> {
  const args = [who, token, String(limits.rateWindowMs), String(limit), String(wanted)]
  const [, granted, leftMs] = String(await redis.call(spend, [ratePrefix], args)).split('\n')
  return { granted: Number(granted), leftMs: Number(leftMs) }
}
