/**
 * Tells when something changed in a folder, once things are quiet again. Folders are watched, never files: editors save by
 * renaming a new file over the old one, which takes a watched file away.
 *
 * F1 one callback for all changes that come within `quietMs` of each other. F2 after each, the folder is watched anew, since
 * it may be another one now; one that is gone is waited for.
 */
import { type FSWatcher, watch } from 'node:fs'
import { codeOf, messageOf } from '../engine/errors.ts'
import type { Clock } from '../engine/ports.ts'

export type WatchOptions = {
  dir: string
  /** Whether a file of this name matters; the folder itself always does. */
  wants(name: string): boolean
  clock: Clock
  /** Ends the watching. */
  signal: AbortSignal
  /** Milliseconds without a change before it is told; default 200. */
  quietMs?: number
  onChange(): void
  /** Watching does not work here (no inotify watches left, a network folder): said once. */
  onTrouble(message: string): void
}

const againMs = 1_000
/** Kubernetes replaces all files of a mounted folder at once by replacing this link. */
const swappedLink = '..data'

export function watchFolder(options: WatchOptions): void {
  void new FolderWatch(options).run()
}

class FolderWatch {
  readonly #options: WatchOptions
  #watcher: FSWatcher | undefined
  #changed = new AbortController()
  #changes = 0
  #saidTrouble = false

  constructor(options: WatchOptions) {
    this.#options = options
  }

  async run(): Promise<void> {
    const { signal, onChange } = this.#options
    let isFirst = true
    while (!signal.aborted) {
      // what happened while nobody watched is told too
      if ((await this.#watch()) && !isFirst) onChange()
      isFirst = false
      await this.#untilChanged()
      await this.#untilQuiet()
      this.#watcher?.close()
    }
  }

  /** Resolves when the folder is watched: false when the watching has ended. */
  async #watch(): Promise<boolean> {
    const { dir, clock, signal } = this.#options
    while (!signal.aborted) {
      try {
        this.#watcher = watch(dir, { persistent: false }, (_, name) => this.#see(name))
        this.#watcher.on('error', () => this.#wake())
        return true
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') this.#sayTrouble(error)
      }
      await clock.sleep(againMs, signal).catch(() => undefined)
    }
    return false
  }

  #see(name: string | null): void {
    const isWhole = name === null || this.#options.dir.endsWith(name) || name === swappedLink
    if (isWhole || this.#options.wants(name)) this.#wake()
  }

  #wake(): void {
    this.#changes += 1
    this.#changed.abort()
  }

  async #untilChanged(): Promise<void> {
    const stop = AbortSignal.any([this.#changed.signal, this.#options.signal])
    if (stop.aborted) return
    await new Promise(resolve => stop.addEventListener('abort', resolve, { once: true }))
  }

  async #untilQuiet(): Promise<void> {
    const { clock, signal, quietMs = 200 } = this.#options
    for (let seen = 0; seen !== this.#changes && !signal.aborted; ) {
      seen = this.#changes
      await clock.sleep(quietMs, signal).catch(() => undefined)
    }
    this.#changes = 0
    this.#changed = new AbortController()
  }

  #sayTrouble(error: unknown): void {
    if (this.#saidTrouble) return
    this.#saidTrouble = true
    const { dir, onTrouble } = this.#options
    onTrouble(`Cannot watch "${dir}" for changes: ${messageOf(error)}; send SIGHUP after a change instead`)
  }
}
