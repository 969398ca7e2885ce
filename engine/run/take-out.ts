/**
 * Short lists of what is at work right now: mostly one, so that looking through them costs less than a set would.
 */

/** Takes an element out of a list; false when it is not there. What came last goes first, mostly. */
export function takeOut<T>(list: T[], element: T): boolean {
  const at = list.lastIndexOf(element)
  if (at === -1) return false
  if (at === list.length - 1) list.pop()
  else list.splice(at, 1)
  return true
}
