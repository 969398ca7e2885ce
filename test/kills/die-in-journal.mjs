// Loaded into a run on the embedded Redis (`node --import`): after SIGUSR2 the process dies in its next journal write that
// holds a commit, once half of it (`torn`) or all of it (`whole`) is in the file: begun, and never answered. An outside
// observer would always come too late, the answer follows the write within microseconds.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { writeSync } = fs
let armed = false
process.on('SIGUSR2', () => {
  armed = true
})

fs.writeSync = (...args) => {
  const [fd, data, offset, length, position] = args
  if (!armed || !Buffer.isBuffer(data) || !data.includes('["commit",')) return writeSync(...args)
  writeSync(fd, data, offset, process.env.DIE_IN_JOURNAL === 'torn' ? length >> 1 : length, position)
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}
syncBuiltinESMExports()
