/** Edges as scenarios and reports write them: `a > b`, or `a > b : port`. */
import type { Json, JsonObject } from '../engine/json.ts'

export function edgeText({ source, target, sourceHandle = null }: JsonObject): string {
  const port = sourceHandle === null || sourceHandle === 'default' || sourceHandle === '' ? '' : ` : ${sourceHandle}`
  return `${source} > ${target}${port}`
}

export function readEdge(text: string): { source: string; target: string; sourceHandle: Json } {
  const [source = '', target = '', sourceHandle = null] = text.split(/ [>:] /)
  return { source, target, sourceHandle }
}
