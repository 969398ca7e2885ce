/**
 * A page as somebody sees it: rendered by headless Chromium, measured by a script of ours. `npm test` installs Chromium
 * where it may.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'

export type Seen = {
  picture: Picture
  /** What the page measured of itself, by the probe that was put into it. */
  probe: Record<string, number>
  /** What Chromium logged: messages of the console, among much else. */
  log: string
}

const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--force-device-scale-factor=1']
/** It has things of its own to ask for, too. */
const alone = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run']
/** Nobody answers there. */
const cutOff = '--proxy-server=http://127.0.0.1:9'

/** Renders a page. `probe` is JavaScript, an object literal of numbers, evaluated in a copy of the page. */
export async function look(page: string, probe: string, size: { width: number; height: number }): Promise<Seen> {
  const dir = mkdtempSync(join(tmpdir(), 'theoneeye-page-'))
  try {
    const [plain, probed, png] = ['page.html', 'probed.html', 'page.png'].map(name => join(dir, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(plain, page)
    writeFileSync(
      probed,
      `${page}<script>addEventListener('load', () => { document.title = JSON.stringify(${probe}) })</script>`,
    )
    const window = [`--window-size=${size.width},${size.height}`, `--user-data-dir=${join(dir, 'profile')}`]
    const { log } = await chromium([
      ...window,
      '--enable-logging=stderr',
      '--v=0',
      `--screenshot=${png}`,
      `file://${plain}`,
    ])
    const { dom } = await chromium([...window, '--virtual-time-budget=5000', '--dump-dom', `file://${probed}`])
    const title = /<title>(.*?)<\/title>/s.exec(dom)?.[1] ?? '{}'
    return {
      picture: readPng(readFileSync(png)),
      probe: JSON.parse(title) as Record<string, number>,
      log,
    }
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

function chromium(args: readonly string[]): Promise<{ dom: string; log: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('chromium', [...flags, ...alone, cutOff, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [dom, log] = ['', '']
    child.stdout.setEncoding('utf8').on('data', text => (dom += text))
    child.stderr.setEncoding('utf8').on('data', text => (log += text))
    child.on('error', error => reject(new Error(`${error.message}; install chromium (apt-get install chromium)`)))
    child.on('close', code =>
      code === 0 ? resolve({ dom, log }) : reject(new Error(`chromium exited ${code}: ${log}`)),
    )
  })
}

// --- the picture

export type Picture = {
  width: number
  height: number /** Red, green, blue, from 0 to 255. */
  at(x: number, y: number): number[]
}

/** PNG as Chromium writes it: 8 bits, RGB or RGBA, not interlaced. */
function readPng(file: Buffer): Picture {
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)]
  const channels = file[25] === 6 ? 4 : 3
  const parts: Buffer[] = []
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at)
    if (file.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(file.subarray(at + 8, at + 8 + length))
    at += length + 12
  }
  const rows = unfilter(inflateSync(Buffer.concat(parts)), { width: width * channels, height, channels })
  return { width, height, at: (x, y) => [...(rows[y] as Uint8Array).subarray(x * channels, x * channels + 3)] }
}

function unfilter(
  data: Buffer,
  { width, height, channels }: { width: number; height: number; channels: number },
): Uint8Array[] {
  const rows: Uint8Array[] = []
  let above = new Uint8Array(width)
  for (let y = 0; y < height; y++) {
    const start = y * (width + 1)
    const filter = data[start] as number
    const row = new Uint8Array(data.subarray(start + 1, start + 1 + width))
    for (let i = 0; i < width; i++) {
      const left = i < channels ? 0 : (row[i - channels] as number)
      const corner = i < channels ? 0 : (above[i - channels] as number)
      row[i] = (row[i] as number) + predict(filter, { left, up: above[i] as number, corner })
    }
    rows.push(row)
    above = row
  }
  return rows
}

function predict(filter: number, { left, up, corner }: { left: number; up: number; corner: number }): number {
  if (filter === 1) return left
  if (filter === 2) return up
  if (filter === 3) return (left + up) >> 1
  if (filter !== 4) return 0
  const guess = left + up - corner
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)]
  if (a <= b && a <= c) return left
  return b <= c ? up : corner
}
