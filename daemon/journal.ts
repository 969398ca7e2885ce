/**
 * The file behind the embedded Redis: `redis.journal` in the data directory, one snapshot followed by the operations since.
 *
 * J1 an operation is in the file (write(2)) before its answer is given: a killed process loses nothing; a killed machine
 * at most the last second (fsync once a second). J2 after the first failed write nothing is accepted any more, and what
 * was half written is cut off. J3 compacting writes a new file beside the old one, syncs it and renames it over: at any
 * moment the name stands for one whole journal. J4 a damaged end is a torn write and is cut off, with a warning; damage
 * that is followed by whole lines is not ours to judge: the file stays as it is.
 */
import { closeSync, fdatasync, fsyncSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { KeyDump } from '../engine/memory-redis/keyspace.ts'
import type { Clock, Log } from '../engine/ports.ts'
import { type Entry, encodeEntry, journalVersion, type Line, readLines, snapshotEntries } from './journal-lines.ts'

/** The journal is compacted when its operations pass this, and twice the size of the snapshot before them. */
export const compactBytesMin = 16 * 1024 * 1024
const syncMs = 1_000
const writeBufferChars = 1024 * 1024

export type JournalOptions = {
  dir: string
  clock: Clock
  log?: Log | undefined
  /** Bytes; default `compactBytesMin`. */
  compactBytes?: number | undefined
  /** Takes each entry of the file, in order. What it throws stops the opening. */
  replay(entry: Entry): void
  /** The keys as they are now, for compacting. */
  dump(): readonly KeyDump[]
}

export class Journal {
  readonly path: string
  readonly #options: JournalOptions
  readonly #stopSync = new AbortController()
  #fd: number
  #size = 0
  #snapshotSize = 0
  #compactAt = 0
  #syncing: Promise<void> | undefined
  #dirty = false
  #failure: EngineError | undefined

  /**
   * Opens the journal, or makes an empty one, and replays it.
   * Throws `JOURNAL_CORRUPT`, `JOURNAL_FAILED`, and `SCHEMA_TOO_NEW` or `SCHEMA_TOO_OLD` for a journal of another version.
   */
  constructor(options: JournalOptions) {
    this.#options = options
    this.path = join(options.dir, 'redis.journal')
    try {
      rmSync(this.#scratchPath, { force: true })
      this.#fd = openIfThere(this.path) ?? this.#writeFresh([])
    } catch (error) {
      throw this.#failed(error)
    }
    try {
      this.#replay()
    } catch (error) {
      closeSync(this.#fd)
      throw error instanceof EngineError ? error : this.#failed(error)
    }
    this.#planCompaction()
  }

  /** The error that ended all writing, if one did. */
  get failure(): EngineError | undefined {
    return this.#failure
  }

  /** Appends entries that `encodeEntry` made. Throws `JOURNAL_FAILED`; then none of them is in the file. */
  append(lines: string): void {
    if (this.#failure !== undefined) throw this.#failure
    const bytes = Buffer.from(lines)
    try {
      writeAll(this.#fd, bytes, this.#size)
    } catch (error) {
      throw this.#fail(error)
    }
    this.#size += bytes.length
    this.#dirty = true
    if (this.#size > this.#compactAt) this.#compact()
    this.#syncing ??= this.#syncLater()
  }

  /** Syncs and closes. Throws `JOURNAL_FAILED` when the last second could not be synced. */
  async close(): Promise<void> {
    this.#stopSync.abort()
    await this.#syncing
    try {
      if (this.#dirty && this.#failure === undefined) fsyncSync(this.#fd)
    } catch (error) {
      throw this.#failed(error)
    } finally {
      closeSync(this.#fd)
    }
  }

  // --- reading

  #replay(): void {
    let damaged: Line | undefined
    let inSnapshot = true
    for (const line of readLines(this.#fd)) {
      if (line.entry === undefined) {
        damaged ??= line
        continue
      }
      if (damaged !== undefined) throw this.#corrupt(damaged.number, 'it is damaged, and lines after it are not')
      if (line.number === 1) this.#checkHeader(line.entry)
      else this.#options.replay(line.entry)
      if (line.entry[0] === '#end') {
        inSnapshot = false
        this.#snapshotSize = line.end
      }
      this.#size = line.end
    }
    if (inSnapshot) throw this.#corrupt(damaged?.number ?? 1, 'the snapshot at its start is not whole')
    if (damaged !== undefined) this.#cutTail(damaged)
  }

  #checkHeader(entry: Entry): void {
    if (entry[0] !== '#journal') throw this.#corrupt(1, 'it is not the header of a journal')
    const [, written] = entry
    if (written === journalVersion) return
    const cannot = `Cannot open the journal "${this.path}": it has version ${written}, this program reads ${journalVersion}`
    if (written > journalVersion) throw new EngineError('SCHEMA_TOO_NEW', `${cannot}; use the newer program`)
    const advice = 'let the program that wrote it finish its work, or take another data directory'
    throw new EngineError('SCHEMA_TOO_OLD', `${cannot}; ${advice}`)
  }

  #cutTail(damaged: Line): void {
    ftruncateSync(this.#fd, damaged.start)
    this.#size = damaged.start
    this.#warn(
      `The journal "${this.path}" ended in the middle of a write (line ${damaged.number}); the torn end was cut off`,
      { line: damaged.number },
    )
  }

  #corrupt(line: number, why: string): EngineError {
    return new EngineError(
      'JOURNAL_CORRUPT',
      `Cannot open the journal "${this.path}": line ${line}: ${why}; the file was left as it is: restore a copy, or keep what is before that line with "head -n ${line - 1}"`,
      { details: { path: this.path, line } },
    )
  }

  // --- compacting

  get #scratchPath(): string {
    return `${this.path}.new`
  }

  #planCompaction(): void {
    const bound = this.#options.compactBytes ?? compactBytesMin
    this.#compactAt = this.#snapshotSize + Math.max(bound, 2 * this.#snapshotSize)
  }

  /** Keeps the old file when the new one can't be written: there may be room again later. */
  #compact(): void {
    try {
      const fd = this.#writeFresh(this.#options.dump())
      closeSync(this.#fd)
      this.#fd = fd
      this.#dirty = false
      this.#planCompaction()
    } catch (error) {
      rmSync(this.#scratchPath, { force: true })
      this.#compactAt = this.#size + (this.#options.compactBytes ?? compactBytesMin)
      this.#warn(`Cannot compact the journal "${this.path}": ${explain(error)}; it goes on growing`, {})
    }
  }

  /** Writes a journal of these keys, syncs it, and renames it into place. Returns it open. */
  #writeFresh(dump: readonly KeyDump[]): number {
    const fd = openSync(this.#scratchPath, 'w+')
    try {
      const size = writeSnapshot(fd, dump)
      fsyncSync(fd)
      renameSync(this.#scratchPath, this.path)
      syncDirectory(dirname(this.path))
      this.#size = size
      this.#snapshotSize = size
      return fd
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  // --- syncing and failing

  async #syncLater(): Promise<void> {
    const stop = this.#stopSync.signal
    while (this.#dirty && !stop.aborted) {
      await this.#options.clock.sleep(syncMs, stop).catch(() => undefined)
      if (stop.aborted) break
      const fd = this.#fd
      this.#dirty = false
      const error = await new Promise<unknown>(resolve => fdatasync(fd, resolve))
      // A compaction in between closed that file after syncing its successor.
      if (error && fd === this.#fd) this.#fail(error)
    }
    this.#syncing = undefined
  }

  #fail(error: unknown): EngineError {
    this.#failure ??= this.#failed(error)
    try {
      ftruncateSync(this.#fd, this.#size)
    } catch {
      // The torn end is cut off at the next opening.
    }
    return this.#failure
  }

  #failed(error: unknown): EngineError {
    const text = `Cannot write the journal "${this.path}": ${explain(error)}`
    return new EngineError('JOURNAL_FAILED', `${text}, then start again: what was acknowledged is kept`, {
      cause: error,
    })
  }

  #warn(message: string, fields: Record<string, number>): void {
    this.#options.log?.write('warn', message, fields)
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r+')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function writeSnapshot(fd: number, dump: readonly KeyDump[]): number {
  let size = 0
  let text = encodeEntry(['#journal', journalVersion])
  const flush = () => {
    const bytes = Buffer.from(text)
    writeAll(fd, bytes, size)
    size += bytes.length
    text = ''
  }
  for (const entry of snapshotEntries(dump)) {
    text += encodeEntry(entry)
    if (text.length > writeBufferChars) flush()
  }
  flush()
  return size
}

/** write(2) may write less than it was given. */
function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
  }
}

/** A rename survives a power cut only when its directory is synced; systems that can't do that do it by themselves. */
function syncDirectory(dir: string): void {
  let fd: number | undefined
  try {
    fd = openSync(dir, 'r')
    fsyncSync(fd)
  } catch {
    // Not every file system syncs directories; the new journal is in place all the same.
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function explain(error: unknown): string {
  const code = codeOf(error)
  if (code === 'ENOSPC') return 'the disk is full; make room'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied; make it writable for this user'
  if (code === 'EROFS') return 'the file system is read-only; choose another directory with --data'
  return `${messageOf(error)}; mend that`
}
