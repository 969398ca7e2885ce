/** A word that somebody may have meant, for messages. */
import { editDistance } from '../engine/edit-distance.ts'

/** `; did you mean "level"?` when a known word is near, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const distances = [...known].map(name => ({ name, distance: editDistance(word.toLowerCase(), name.toLowerCase()) }))
  const nearest = distances.sort((a, b) => a.distance - b.distance)[0]
  const isNear = nearest !== undefined && nearest.distance <= Math.max(2, word.length / 4)
  return isNear ? `; did you mean "${nearest.name}"?` : ''
}
