#!/usr/bin/env node
/** The program `theoneeye`. All it adds to the command line is the process: its arguments, its streams, its exit code. */
import { runCli } from './cli.ts'

process.exitCode = await runCli(process.argv.slice(2))
