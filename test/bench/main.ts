/**
 * `npm run bench`: compiles the benches with the engine under them, and runs them as plain JavaScript, as users run the
 * engine. Measured through tsx every closure would pay for keeping its name: half as much again for each iteration.
 */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const compiled = join(root, 'out/bench/test/bench/run.js')

const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'test/bench'], { cwd: root, stdio: 'inherit' })
if (tsc.status !== 0) process.exitCode = 1
else {
  const flags = ['--enable-source-maps', compiled, ...process.argv.slice(2)]
  const child = spawn(process.execPath, flags, { stdio: 'inherit' })
  // Ctrl-C reaches the child as well; it stops its servers, then this process ends with it
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', code => {
    process.exitCode = code ?? 1
  })
}
