/** Delta debugging: the fewest elements of a flat list with which something still happens. */

/**
 * Removes ever smaller parts while `holds` stays true, until no single element can go or `runsMax` tries are used up.
 * `holds` must be true of the whole list.
 */
export async function ddmin<T>(
  all: readonly T[],
  holds: (part: readonly T[]) => Promise<boolean>,
  runsMax: number,
): Promise<readonly T[]> {
  let list = all
  let runs = 0
  for (let parts = 2; list.length > 0 && runs < runsMax; ) {
    const size = Math.ceil(list.length / parts)
    const shorter = await firstThatHolds(list, size, async part => runs++ < runsMax && (await holds(part)))
    if (shorter !== undefined) {
      list = shorter
      parts = Math.max(2, parts - 1)
    } else if (size === 1) return list
    else parts = Math.min(list.length, parts * 2)
  }
  return list
}

/** The list without one of its parts, the first such that still holds. */
async function firstThatHolds<T>(
  list: readonly T[],
  size: number,
  holds: (part: readonly T[]) => Promise<boolean>,
): Promise<readonly T[] | undefined> {
  for (let at = 0; at < list.length; at += size) {
    const rest = [...list.slice(0, at), ...list.slice(at + size)]
    if (await holds(rest)) return rest
  }
  return undefined
}
