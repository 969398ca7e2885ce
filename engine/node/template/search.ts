/**
 * Finding text in text. The host's `indexOf` takes quadratic time on repetitive texts (250 KB: 6 s; backwards 16 s), so
 * long needles are looked for by Knuth, Morris and Pratt: linear whatever the texts are, and counted before it starts.
 */
import type { Run } from './run.ts'

const nativeNeedleMax = 32

/** A function to the first place at or after `from`, or -1. Looking on behind each place stays linear as a whole. */
export function finder(run: Run, text: string, needle: string): (from: number) => number {
  run.spend(1 + ((text.length + needle.length) >> 4))
  if (needle.length <= nativeNeedleMax) return from => text.indexOf(needle, from)
  const borders = bordersOf(needle)
  return from => search(text, needle, borders, from)
}

export function includesText(run: Run, text: string, needle: string): boolean {
  return finder(run, text, needle)(0) >= 0
}

/** The last place, or -1. */
export function lastIndexOf(run: Run, text: string, needle: string): number {
  if (needle.length <= nativeNeedleMax) {
    run.spend(1 + (text.length >> 4))
    return text.lastIndexOf(needle)
  }
  const found = finder(run, backwards(text), backwards(needle))(0)
  return found < 0 ? -1 : text.length - needle.length - found
}

function backwards(text: string): string {
  return text.split('').reverse().join('')
}

/** For each prefix of the needle the length of the longest one that also ends there. */
function bordersOf(needle: string): Int32Array {
  const borders = new Int32Array(needle.length)
  let length = 0
  for (let i = 1; i < needle.length; i++) {
    while (length > 0 && needle[i] !== needle[length]) length = borders[length - 1] as number
    if (needle[i] === needle[length]) length += 1
    borders[i] = length
  }
  return borders
}

function search(text: string, needle: string, borders: Int32Array, from: number): number {
  let length = 0
  for (let i = from; i < text.length; i++) {
    while (length > 0 && text[i] !== needle[length]) length = borders[length - 1] as number
    if (text[i] === needle[length]) length += 1
    if (length === needle.length) return i - length + 1
  }
  return -1
}
