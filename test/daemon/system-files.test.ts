import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemFiles } from '../../daemon/system-ports.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

/** A files directory beside a folder with a secret, with links of all kinds in it. */
function world() {
  const dir = realpathSync(tempDir())
  const root = join(dir, 'files')
  const outside = join(dir, 'outside')
  for (const folder of [root, outside, join(root, 'sub')]) mkdirSync(folder)
  writeFileSync(join(outside, 'secret'), 'secret')
  writeFileSync(join(root, 'inside'), 'inside')
  symlinkSync(join(outside, 'secret'), join(root, 'link-to-secret'))
  symlinkSync(outside, join(root, 'link-to-outside'))
  symlinkSync('..', join(root, 'link-up'))
  symlinkSync(join(outside, 'new'), join(root, 'link-to-nothing'))
  symlinkSync('inside', join(root, 'link-inside'))
  symlinkSync('sub', join(root, 'link-to-sub'))
  return { dir, root, outside, files: systemFiles(root) }
}

describe('files stay below their directory', () => {
  const outsidePaths = [
    '../outside/secret',
    '..',
    '.',
    '',
    'sub/../../outside/secret',
    'sub/..',
    '/etc/hostname',
    'link-to-secret',
    'link-to-outside/secret',
    'link-to-outside/new',
    'link-to-outside/deep/new',
    'link-up/outside/secret',
    'link-up/files-not',
    'sub/../link-to-secret',
    'link-to-nothing',
    'nul\0byte',
  ]
  test.each(outsidePaths)('%j', async path => {
    const { files, root, outside, dir } = world()
    expect((await errorOf(() => files.read(path, 0, 10))).code).toBe('FILE_OUTSIDE')
    for (const mode of ['w', 'a'] as const) {
      expect((await errorOf(() => files.write(path, 'x', mode))).code).toBe('FILE_OUTSIDE')
    }
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret')
    expect([readdirSync(outside), readdirSync(dir).sort()]).toEqual([['secret'], ['files', 'outside']])
    expect(readdirSync(root).some(name => name.endsWith('.tmp'))).toBe(false)
  })

  test('an absolute path is refused even if it is below', async () => {
    const { files, root } = world()
    expect((await errorOf(() => files.read(join(root, 'inside'), 0, 10))).code).toBe('FILE_OUTSIDE')
  })

  test.each(['inside', 'sub/../inside', './inside', 'link-inside', 'link-to-sub/../inside'])(
    '%j is inside',
    async path => {
      expect(text(await world().files.read(path, 0, 10))).toBe('inside')
    },
  )

  test('links that stay inside are followed, and stay links', async () => {
    const { files, root } = world()
    await files.write('link-inside', 'new', 'w')
    await files.write('link-to-sub/a', 'a', 'a')
    expect(readFileSync(join(root, 'inside'), 'utf8')).toBe('new')
    expect(readFileSync(join(root, 'sub/a'), 'utf8')).toBe('a')
    expect(realpathSync(join(root, 'link-inside'))).toBe(join(root, 'inside'))
  })

  test('the directory itself may be a link', async () => {
    const { dir, root } = world()
    symlinkSync(root, join(dir, 'alias'))
    expect(text(await systemFiles(join(dir, 'alias')).read('inside', 0, 10))).toBe('inside')
  })
})

describe('reading and writing', () => {
  test('reads parts by byte, and nothing at the end', async () => {
    const { files } = world()
    expect(text(await files.read('inside', 2, 3))).toBe('sid')
    expect(text(await files.read('inside', 4, 100))).toBe('de')
    expect(await files.read('inside', 6, 100)).toHaveLength(0)
    expect(await files.read('inside', 60, 100)).toHaveLength(0)
  })

  test('replaces and appends, makes folders and the directory, leaves nothing else', async () => {
    const root = join(tempDir(), 'not', 'yet')
    const files = systemFiles(root)
    await files.write('a/b/c.txt', 'long text', 'w')
    await files.write('a/b/c.txt', 'é', 'w')
    await files.write('a/b/c.txt', '2\n', 'a')
    await files.write('d.txt', '1\n', 'a')
    expect(readFileSync(join(root, 'a/b/c.txt'), 'utf8')).toBe('é2\n')
    expect(readFileSync(join(root, 'd.txt'), 'utf8')).toBe('1\n')
    expect(readdirSync(join(root, 'a/b'))).toEqual(['c.txt'])
  })

  test('appends of many at once are whole', async () => {
    const { files } = world()
    const lines = Array.from({ length: 100 }, (_, i) => `${i}:${'x'.repeat(5_000)}\n`)
    await Promise.all(lines.map(line => files.write('log', line, 'a')))
    const found = text(await files.read('log', 0, 10_000_000))
    expect(found.split('\n').slice(0, -1).sort()).toEqual(lines.map(line => line.trim()).sort())
  })

  test.each([
    ['none', 'ENOENT', /there is no such file/],
    ['sub', 'EISDIR', /it is a folder/],
    ['inside/x', 'ENOTDIR', /not a folder/],
    ['pipe', 'EINVAL', /not a regular file/],
    ['x'.repeat(300), 'ENAMETOOLONG', /too long/],
  ])('reading %s fails with %s in words', async (path, code, words) => {
    const { files, root } = world()
    execFileSync('mkfifo', [join(root, 'pipe')])
    const error = await errorOf(() => files.read(path, 0, 10))
    expect(error).toMatchObject({ code: 'FILE_FAILED', details: { path, code } })
    expect(error.message).toMatch(words)
  })

  test('a failed write says why and leaves no scratch file', async () => {
    const { files, root } = world()
    expect(await errorOf(() => files.write('inside/x', 'x', 'w'))).toMatchObject({ code: 'FILE_FAILED' })
    expect(await errorOf(() => files.write('sub', 'x', 'w'))).toMatchObject({ code: 'FILE_FAILED' })
    expect(readdirSync(join(root, 'sub'))).toEqual([])
    expect(existsSync(join(root, 'inside'))).toBe(true)
  })
})
