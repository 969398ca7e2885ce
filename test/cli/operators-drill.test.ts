/**
 * Backup and restore as daemon/README.md writes them: its two blocks are run as they stand, by bash, on a real Redis with
 * an append-only file. Only `systemctl` is a stand-in, which starts and stops the same programs.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { connectRedis } from '../../daemon/redis.ts'
import { listQueues, peekQueue, pushToQueue } from '../../engine/store/inspect.ts'
import { repository } from '../support/cli.ts'
import { sketch } from '../support/engine-bench.ts'
import { freePort } from '../support/redis-server.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Runs for ever; 20 items, and whatever somebody pushes, end in `done` and in a file each. */
const orders = sketch({
  id: 'orders',
  nodes: {
    count: ['counter', { min_value: 1, max_value: 20 }],
    keep: ['timer', { interval: 1, unit: 'hours' }],
    raw: ['queue-writer', { queue_name: 'raw' }],
    take: ['queue-reader', { queue_name: 'raw' }],
    save: ['file-writer', { file_path: '{{ data.counter.current }}.txt', mode: 'w', content: 'x' }],
    done: ['queue-writer', { queue_name: 'done' }],
  },
  edges: 'count>raw keep>raw take>save save>done',
})

const systemctl = `#!/bin/bash -eu
case "$1 $2" in
  "start redis-server") redis-server "$REDIS_CONF" --daemonize yes --pidfile "$HOME/redis.pid" >/dev/null ;;
  "stop redis-server") redis-cli -u "$REDIS_URL" shutdown 2>/dev/null || true ;;
  "start theoneeye")
    cd "$HOME"
    "$NODE" "$BIN" daemon --config "$CONFIG/theoneeye.yaml" >>"$HOME/log" 2>&1 </dev/null &
    echo $! >"$HOME/daemon.pid"
    tail -F "$HOME/log" --pid=$! 2>/dev/null | grep -m1 '"msg":"ready' >/dev/null ;;
  "stop theoneeye")
    pid=$(cat "$HOME/daemon.pid")
    kill "$pid" 2>/dev/null || exit 0
    tail --pid="$pid" -f /dev/null ;;
esac
`

type Drill = { home: string; env: Record<string, string>; url: string }

async function prepare(): Promise<Drill> {
  const home = tempDir()
  for (const folder of ['bin', 'redis', 'etc/workflows', 'files']) mkdirSync(join(home, folder), { recursive: true })
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  writeFileSync(join(home, 'bin/systemctl'), systemctl, { mode: 0o755 })
  writeFileSync(join(home, 'redis.conf'), `port ${port}\nbind 127.0.0.1\ndir ${home}/redis\nsave ""\nappendonly yes\n`)
  writeFileSync(join(home, 'etc/theoneeye.yaml'), `redis: ${url}\nlisten: 127.0.0.1:0\nfiles: ${home}/files\n`)
  writeFileSync(join(home, 'etc/workflows/orders.json'), JSON.stringify(orders))
  const paths = { CONFIG: `${home}/etc`, FILES: `${home}/files`, BACKUP: `${home}/backup` }
  const redis = { REDIS_URL: url, REDIS_DIR: `${home}/redis`, REDIS_CONF: `${home}/redis.conf` }
  const programs = { NODE: process.execPath, BIN: join(repository, 'dist/daemon/bin.js'), HOME: home }
  const drill = { home, url, env: { ...paths, ...redis, ...programs, PATH: `${home}/bin:${process.env.PATH}` } }
  onTestFinished(() => killBoth(drill))
  return drill
}

/** Runs a script as an operator's shell does; fails when any of its commands fails. */
function bash(script: string, { env, home }: Drill): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      env,
      cwd: home,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (said += text))
    child.on('exit', code => (code === 0 ? resolve() : reject(new Error(`bash ended with ${code}: ${said}`))))
  })
}

/** The block of shell commands below a heading of the operators' guide. */
function blockOf(heading: string): string {
  const guide = readFileSync(join(repository, 'daemon/README.md'), 'utf8')
  const [, block] = new RegExp(`^## ${heading}$[\\s\\S]*?^\`\`\`sh\\n([\\s\\S]*?)^\`\`\``, 'm').exec(guide) ?? []
  return block as string
}

function killBoth({ home }: Drill): void {
  for (const name of ['daemon.pid', 'redis.pid']) {
    try {
      process.kill(Number(readFileSync(join(home, name), 'utf8')), 'SIGKILL')
    } catch {
      // it has ended, or never began
    }
  }
}

async function push({ url }: Drill, numbers: number[]): Promise<void> {
  const redis = await connectRedis(url)
  const items = numbers.map(current => ({ counter: { current } }))
  await pushToQueue(redis, { workflow: 'orders', queue: 'raw' }, items, { nonce: `n${numbers[0]}`, now: 0 })
  await redis.close()
}

/** What is done, when so many are; asks Redis again and again. */
async function doneWhen({ url }: Drill, n: number): Promise<number[]> {
  const redis = await connectRedis(url)
  const length = async () => (await listQueues(redis, 'orders', 0)).find(({ name }) => name === 'done')?.length
  while ((await length()) !== n);
  const items = await peekQueue(redis, 'orders', 'done', 0)
  await redis.close()
  return items.map(({ data }) => (data.counter as { current: number }).current)
}

it('backup and restore, as written', async () => {
  const drill = await prepare()
  await bash('systemctl start redis-server; systemctl start theoneeye', drill)
  await push(drill, [101, 102])
  await doneWhen(drill, 22)
  await bash(blockOf('Back up'), drill)
  await push(drill, [201])
  await doneWhen(drill, 23)

  killBoth(drill)
  for (const folder of ['redis', 'files', 'etc']) rmSync(join(drill.home, folder), { recursive: true })
  mkdirSync(join(drill.home, 'redis'))
  await bash(blockOf('Restore'), drill)

  await push(drill, [301])
  const done = await doneWhen(drill, 23)
  const counted = Array.from({ length: 20 }, (_, i) => i + 1)
  // each once, and in order: what came after the backup is lost, nothing else
  expect(done.filter(n => n <= 20)).toEqual(counted)
  expect(done.filter(n => n > 20)).toEqual([101, 102, 301])
  expect(readdirSync(join(drill.home, 'files'))).toHaveLength(23)
  expect(readFileSync(join(drill.home, 'redis.conf'), 'utf8')).toContain('\nappendonly yes\n')
  expect(readdirSync(join(drill.home, 'redis/appendonlydir'))).not.toEqual([])
  await bash('systemctl stop theoneeye; systemctl stop redis-server', drill)
})
