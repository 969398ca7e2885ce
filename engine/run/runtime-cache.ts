/**
 * The run's variables as one replica sees them: what Redis said last, with the writes of its own finished iterations on
 * top until they are committed. A new map for every change: an iteration that runs keeps the one it began with.
 */
import type { RuntimeSnapshot } from '../store/run-store.ts'

type Writes = ReadonlyMap<string, string | undefined>

export class RuntimeCache {
  readonly #read: () => Promise<RuntimeSnapshot>
  readonly #uncommitted: Writes[] = []
  #snapshot: RuntimeSnapshot = { version: '0', variables: new Map() }
  #variables: ReadonlyMap<string, string> = new Map()

  constructor(read: () => Promise<RuntimeSnapshot>) {
    this.#read = read
  }

  get variables(): ReadonlyMap<string, string> {
    return this.#variables
  }

  /** Reads again unless `version` is the one known; '' for an unknown one. */
  async refresh(version: string): Promise<void> {
    if (version === this.#snapshot.version) return
    this.#snapshot = await this.#read()
    this.#rebuild()
  }

  /** An iteration finished with these writes. */
  finished(writes: Writes): void {
    if (writes.size === 0) return
    this.#uncommitted.push(writes)
    this.#rebuild()
  }

  /** These writes are in Redis now; the next refresh brings them. */
  committed(writes: Writes): void {
    const at = this.#uncommitted.indexOf(writes)
    if (at >= 0) this.#snapshot = { ...this.#snapshot, variables: overlay(this.#snapshot.variables, [writes]) }
    if (at >= 0) this.#uncommitted.splice(at, 1)
  }

  #rebuild(): void {
    this.#variables = overlay(this.#snapshot.variables, this.#uncommitted)
  }
}

function overlay(variables: ReadonlyMap<string, string>, writes: readonly Writes[]): Map<string, string> {
  const result = new Map(variables)
  for (const [key, value] of writes.flatMap(each => [...each])) {
    if (value === undefined) result.delete(key)
    else result.set(key, value)
  }
  return result
}
