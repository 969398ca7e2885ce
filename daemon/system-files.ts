/**
 * Files below one directory, whatever a path says. A path is resolved by name first (`..`, absolute), then by what is on
 * disk: the deepest folder that exists must really be inside, and so must a file that is already there, links included.
 * Files are opened by their resolved name without following links, and where the opened file is, is checked once more.
 * Contents are not synced to disk: what a power cut may lose is the same as for the journal.
 */

import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readlink, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { Files } from '../engine/ports.ts'

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants

/** Paths are relative to `root`, which is made at the first write. */
export function systemFiles(root: string): Files {
  const files = new RootedFiles(resolve(root))
  return {
    read: (path, offset, bytesMax) => explained('read', path, () => files.read(path, offset, bytesMax)),
    write: (path, content, mode) => explained('write', path, () => files.write(path, content, mode)),
  }
}

type Place = { path: string; found: Stats | undefined }

class RootedFiles {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async read(path: string, offset: number, bytesMax: number): Promise<Uint8Array> {
    const place = await this.#locate(path)
    const file = await this.#open(place.path, O_RDONLY, path)
    try {
      const bytes = new Uint8Array(bytesMax)
      let filled = 0
      while (filled < bytesMax) {
        const { bytesRead } = await file.read(bytes, filled, bytesMax - filled, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return bytes.subarray(0, filled)
    } finally {
      await file.close()
    }
  }

  async write(path: string, content: string, mode: 'w' | 'a'): Promise<void> {
    this.#resolve(path)
    await mkdir(this.#root, { recursive: true })
    const place = await this.#locate(path)
    await mkdir(dirname(place.path), { recursive: true })
    if (mode === 'a') await this.#append(place, content, path)
    else await this.#replace(place, content, path)
  }

  async #append(place: Place, content: string, path: string): Promise<void> {
    const file = await this.#open(place.path, O_WRONLY | O_APPEND | O_CREAT, path)
    const { size } = await file.stat()
    try {
      await file.writeFile(content)
    } catch (error) {
      // what a full disk let through is no record: the next one must not continue it
      await file.truncate(size).catch(() => undefined)
      throw error
    } finally {
      await file.close()
    }
  }

  /** Readers see the old file or the new one, never a half. */
  async #replace(place: Place, content: string, path: string): Promise<void> {
    const scratch = join(dirname(place.path), `.theoneeye-${randomBytes(9).toString('base64url')}.tmp`)
    try {
      const file = await this.#open(scratch, O_WRONLY | O_CREAT | O_EXCL, path)
      try {
        await file.writeFile(content)
        if (place.found !== undefined) await file.chmod(place.found.mode & 0o777)
      } finally {
        await file.close()
      }
      await rename(scratch, place.path)
    } catch (error) {
      await rm(scratch, { force: true }).catch(() => undefined)
      throw error
    }
  }

  #resolve(path: string): string {
    const full = resolve(this.#root, path)
    if (path.includes('\0') || isAbsolute(path) || !isInside(this.#root, full)) throw this.#outside(path)
    return full
  }

  /** Where the path really is. Nothing is made yet. */
  async #locate(path: string): Promise<Place> {
    const full = this.#resolve(path)
    const root = await realpath(this.#root)
    const folder = await realFolder(dirname(full))
    const real = join(folder, basename(full))
    if (folder !== root && !isInside(root, folder)) throw this.#outside(path)
    const found = await lstat(real).catch(missing)
    if (!found?.isSymbolicLink()) return checked({ path: real, found })
    const target = await realpath(real).catch(missing)
    if (target === undefined || !isInside(root, target)) throw this.#outside(path)
    return checked({ path: target, found: await lstat(target) })
  }

  async #open(real: string, flags: number, path: string): Promise<FileHandle> {
    const file = await open(real, flags | O_NOFOLLOW, 0o666)
    const opened = await readlink(`/proc/self/fd/${file.fd}`).catch(() => real)
    if (opened === real) return file
    await file.close()
    throw this.#outside(path)
  }

  #outside(path: string): EngineError {
    return new EngineError(
      'FILE_OUTSIDE',
      `Cannot use file ${JSON.stringify(path)}: it leads out of "${this.#root}"; use a path below it, or another directory with --files`,
      { details: { path } },
    )
  }
}

function checked(place: Place): Place {
  if (place.found === undefined || place.found.isFile()) return place
  throw Object.assign(new Error('not a regular file'), { code: place.found.isDirectory() ? 'EISDIR' : 'EINVAL' })
}

/** The real name of a folder that may not exist yet: that of its deepest existing ancestor, and the rest as it is. */
async function realFolder(path: string): Promise<string> {
  const real = await realpath(path).catch(missing)
  if (real !== undefined) return real
  const entry = await lstat(path).catch(missing)
  if (entry?.isSymbolicLink()) throw Object.assign(new Error('a link that leads nowhere'), { code: 'ENOTDIR' })
  // somebody made it between the two looks: look again
  if (entry !== undefined) return await realFolder(path)
  return join(await realFolder(dirname(path)), basename(path))
}

function isInside(root: string, path: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep)
}

function missing(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined
  throw error
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check the name',
  ENOSPC: 'the disk is full; make room',
  EDQUOT: 'the disk quota is used up; make room',
  EACCES: 'permission denied; allow this user to',
  EPERM: 'not permitted; allow this user to',
  EROFS: 'the file system is read-only; choose another directory with --files',
  EISDIR: 'it is a folder; name a file',
  ENOTDIR: 'a part of the path is not a folder; check the path',
  EINVAL: 'it is not a regular file; name one',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  EMFILE: 'this process has too many open files; raise its limit',
}

async function explained<T>(verb: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof EngineError) throw error
    const code = codeOf(error)
    const reason = reasons[code ?? ''] ?? messageOf(error)
    throw new EngineError('FILE_FAILED', `Cannot ${verb} file ${JSON.stringify(path)}: ${reason}`, {
      cause: error,
      details: { path, code },
    })
  }
}
