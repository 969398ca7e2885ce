/** What commands are made of: how one is registered, and the options that several share, worded once. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Output } from '../output.ts'

/** Does the work of a command and resolves to its exit code. `words` are its arguments, in the order declared. */
// biome-ignore lint/suspicious/noExplicitAny: commander hands options over untyped; each command names their type itself
export type Work = (out: Output, words: any[], options: any) => Promise<number>

/** Adds `--debug`, error handling and the exit code to a declared command. */
export type Register = (command: Command, work: Work) => void

export type AddCommand = (program: Command, register: Register) => void

export function withJson(command: Command): Command {
  return command.option('--json', 'print machine-readable lines on stdout, and nothing else there')
}

export function withNodes(command: Command): Command {
  return command.option(
    '--nodes <dir>',
    'custom nodes: a folder of JavaScript or TypeScript files that export node classes',
  )
}

export function withRedisOption(command: Command): Command {
  return command.option('--redis <url>', 'a Redis server, redis:// or rediss:// (default: the embedded Redis)')
}

export const dataDirDefault = '.theoneeye'

export function withDataOption(command: Command): Command {
  return command.option('--data <dir>', 'where the embedded Redis keeps its journal', dataDirDefault)
}

/** Parses an option that counts whole things. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0 && text.trim() !== '') return value
  throw new InvalidArgumentError(`"${text}" is not a whole number; give one such as 10.`)
}

/** Parses an option in seconds; fractions are allowed. */
export function seconds(text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0 && text.trim() !== '') return value
  throw new InvalidArgumentError(`"${text}" is not a number of seconds above 0; give one such as 2.5.`)
}

/** The text on one line, cut to a width with an ellipsis. */
export function short(text: string, widthMax: number): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length <= widthMax ? line : `${line.slice(0, widthMax - 1)}…`
}
