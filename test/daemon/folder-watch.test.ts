/** Changes of a folder are told once things are quiet, however an editor saves. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { watchFolder } from '../../daemon/folder-watch.ts'
import { systemClock } from '../../daemon/system-ports.ts'
import type { Clock } from '../../engine/ports.ts'
import { tempDir } from '../support/temp-dir.ts'

type Watched = { dir: string; told: () => Promise<void>; count: () => number; troubles: string[] }

type Given = { clock?: Clock; onName?: (name: string) => void }

function watched(dir: string, { clock = systemClock(), onName }: Given = {}): Watched {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const troubles: string[] = []
  let count = 0
  let onChange: () => void = () => undefined
  watchFolder({
    dir,
    wants: name => {
      onName?.(name)
      return name.endsWith('.json')
    },
    clock,
    signal: stop.signal,
    quietMs: 20,
    onChange: () => {
      count += 1
      onChange()
    },
    onTrouble: message => troubles.push(message),
  })
  const told = () =>
    new Promise<void>(resolve => {
      onChange = resolve
    })
  return { dir, told, count: () => count, troubles }
}

describe('watchFolder', () => {
  it.each<[string, (dir: string) => void]>([
    ['writes it', dir => writeFileSync(join(dir, 'w.json'), '2')],
    [
      'renames a new one over it',
      dir => {
        writeFileSync(join(dir, '.w.swp'), '2')
        renameSync(join(dir, '.w.swp'), join(dir, 'w.json'))
      },
    ],
    ['removes it', dir => rmSync(join(dir, 'w.json'))],
    ['adds another', dir => writeFileSync(join(dir, 'x.json'), '1')],
  ])('tells when somebody %s, and again the next time', async (_, change) => {
    const dir = tempDir()
    writeFileSync(join(dir, 'w.json'), '1')
    const { told } = watched(dir)
    const first = told()
    change(dir)
    await first
    const second = told()
    writeFileSync(join(dir, 'y.json'), '1')
    await second
  })

  it('tells once of many changes, and waits again for quiet when one comes meanwhile', async () => {
    // quiet comes when the test says so
    let release: () => void = () => undefined
    let onAsked: () => void = () => undefined
    let onLate: () => void = () => undefined
    const sleep = () =>
      new Promise<void>(resolve => {
        release = resolve
        onAsked()
      })
    const asked = () =>
      new Promise<string>(resolve => {
        onAsked = () => resolve('waits')
      })
    const late = new Promise<void>(resolve => {
      onLate = resolve
    })
    const onName = (name: string): void => {
      if (name === 'late.json') onLate()
    }
    const { dir, told, count } = watched(tempDir(), { clock: { ...systemClock(), sleep }, onName })
    const done = told().then(() => 'told')
    const first = asked()
    for (let i = 0; i < 50; i++) writeFileSync(join(dir, `w${i}.json`), '1')
    await first
    writeFileSync(join(dir, 'late.json'), '1')
    await late
    const again = asked()
    release()
    expect(await Promise.race([done, again])).toBe('waits')
    for (let said = ''; said !== 'told'; ) {
      const next = asked()
      release()
      said = await Promise.race([done, next])
    }
    expect(count()).toBe(1)
  })

  it('says nothing of files that do not matter', async () => {
    const { dir, told, count } = watched(tempDir())
    writeFileSync(join(dir, 'notes.txt'), '1')
    const changed = told()
    writeFileSync(join(dir, 'w.json'), '1')
    await changed
    expect(count()).toBe(1)
  })

  it('tells when Kubernetes swaps the files of a mounted folder', async () => {
    const dir = tempDir()
    const publish = (version: string): void => {
      mkdirSync(join(dir, version))
      writeFileSync(join(dir, version, 'w.json'), version)
      symlinkSync(version, join(dir, '..data_tmp'))
      renameSync(join(dir, '..data_tmp'), join(dir, '..data'))
    }
    publish('..v1')
    symlinkSync('..data/w.json', join(dir, 'w.json'))
    const { told } = watched(dir)
    const swapped = told()
    publish('..v2')
    await swapped
  })

  it('goes on when the folder was replaced by another', async () => {
    const parent = tempDir()
    const dir = join(parent, 'flows')
    mkdirSync(dir)
    const { told } = watched(dir)
    const replaced = told()
    renameSync(dir, join(parent, 'old'))
    mkdirSync(dir)
    await replaced
    const changed = told()
    writeFileSync(join(dir, 'w.json'), '1')
    await changed
  })

  it('says that it cannot watch', async () => {
    const path = join(tempDir(), 'w.json', 'x')
    writeFileSync(join(path, '..'), '1')
    const stop = new AbortController()
    const trouble = await new Promise<string>(resolve => {
      watchFolder({
        dir: path,
        wants: () => true,
        clock: systemClock(),
        signal: stop.signal,
        onChange: () => undefined,
        onTrouble: resolve,
      })
    })
    stop.abort()
    expect(trouble).toMatch(/ENOTDIR.*send SIGHUP/)
  })
})
