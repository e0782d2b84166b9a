#!/usr/bin/env node
import { runProgram } from './program.js'

async function main(): Promise<void> {
  const { exitCode, isInterrupted } = await runProgram(process.argv.slice(2), {
    environment: process.env,
    directory: process.cwd(),
    output: process.stdout,
    errors: process.stderr,
    // Looking at it opens it.
    get input() {
      return process.stdin
    },
  })
  process.exitCode = exitCode
  // What nobody reads would keep the process alive for ever.
  if (isInterrupted) process.exit()
}

void main()
