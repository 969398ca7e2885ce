/** What nodes put out in development mode, by session, for the nodes downstream (1.9). Production never looks here. */
import type { JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import type { Redis } from '../ports.ts'
import { devPrefix } from './keys.ts'
import { devCache } from './scripts/dev-cache.ts'

export type DevPlace = { workflow: string; session: string }

/** The outputs of a session by node id, none older than 24 h. `now` is epoch milliseconds. */
export async function readDevOutputs(
  redis: Redis,
  { workflow, session }: DevPlace,
  now: number,
): Promise<Map<string, JsonObject>> {
  const own = `${session}\t`
  const kept = new Map<string, JsonObject>()
  for (const [field, text] of Object.entries(await redis.hgetall(`${devPrefix(workflow)}out`))) {
    const cut = text.indexOf('\n')
    if (!field.startsWith(own) || Number(text.slice(0, cut)) < now - limits.devCacheMs) continue
    kept.set(field.slice(own.length), JSON.parse(text.slice(cut + 1)) as JsonObject)
  }
  return kept
}

/** Keeps an output, or with `undefined` forgets it. */
export async function keepDevOutput(
  redis: Redis,
  place: DevPlace & { node: string },
  output: JsonObject | undefined,
  now: number,
): Promise<void> {
  const value = output === undefined ? '' : `${now}\n${JSON.stringify(output)}`
  const args = [`${place.session}\t${place.node}`, value, String(now - limits.devCacheMs)]
  await redis.call(devCache, [devPrefix(place.workflow)], args)
}
