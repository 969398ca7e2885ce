#!/usr/bin/env node
/**
 * The program `theoneeye`. All it adds to the command line is the process: its arguments, its streams, its exit code. It
 * exits when the command has ended, whatever timers a custom node has left behind.
 */
import { setMaxListeners } from 'node:events'
import { messageOf } from '../engine/errors.ts'
import { runCli } from './cli.ts'

// all loops of a workflow listen to one signal, and eleven of them are no leak
setMaxListeners(0)

// a node that let a promise go fails nobody but itself: its iteration is over, and the loops go on
process.on('unhandledRejection', error => {
  process.stderr.write(`warning: work that nobody waited for failed: ${messageOf(error)}\n`)
})

const code = await runCli(process.argv.slice(2))
process.stdout.write('', () => process.exit(code))
