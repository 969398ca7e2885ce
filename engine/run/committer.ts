/**
 * Commits finished iterations behind the runner's back: in order, as a group, one group at a time. While one is on its way
 * the next ones gather; each is still atomic by itself, and none is told as completed before Redis said so (1.3).
 *
 * M1 a group is sent whenever none is in flight. M2 what failed once (fenced, diverged, a bug) fails every later call: the
 * runner stops at its next one. M3 while a target is full nothing new is claimed, and the runner waits.
 */
import { limits } from '../limits.ts'
import type { CommitAnswer, IterationCommit } from '../store/replica-store.ts'

export type Finished = {
  commit: IterationCommit
  /** Called when it is committed, in order. */
  committed: () => void
}

export type CommitterHost = {
  /** Monotonic milliseconds. */
  nowMs: () => number
  /** Sends a group; claims what comes next if there is room for all. */
  send: (group: readonly IterationCommit[]) => Promise<CommitAnswer>
  noteAnswer: (answer: CommitAnswer) => Promise<void>
  /** A target is full: resolves when it is worth trying again; false when the loop was aborted meanwhile. */
  waitForRoom: (queue: string) => Promise<boolean>
}

export class Committer {
  readonly #host: CommitterHost
  readonly #waiting: Finished[] = []
  #sending: Promise<void> | undefined
  /** When the group under way was sent. */
  #sentMs = 0
  #bytes = 0
  #full = false
  #failure: { error: unknown } | undefined
  /** The loop was aborted while a target was full: what waits stays uncommitted. */
  #givenUp = false

  constructor(host: CommitterHost) {
    this.#host = host
  }

  /**
   * So much waits, or for so long already, that no new iteration should begin before it is committed. A loop that only
   * computes gives nobody else a turn: without the bound in time not even the answer to its commit would be heard.
   */
  get isLate(): boolean {
    if (this.#full || this.#waiting.length >= limits.backlogMax || this.#bytes > limits.pushBytesMax) return true
    return this.#sending !== undefined && this.#host.nowMs() - this.#sentMs > limits.backlogMs
  }

  add(finished: Finished): void {
    this.#throwIfFailed()
    this.#waiting.push(finished)
    this.#bytes += sizeOf(finished.commit)
    this.#sending ??= this.#sendAll()
  }

  /** Resolves when nothing is left to commit; false when something had to be given up. */
  async settled(): Promise<boolean> {
    while (this.#sending !== undefined) await this.#sending
    this.#throwIfFailed()
    return !this.#givenUp
  }

  async #sendAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0 && !this.#givenUp) await this.#sendGroup()
    } catch (error) {
      this.#failure = { error }
    } finally {
      this.#sending = undefined
    }
  }

  async #sendGroup(): Promise<void> {
    this.#sentMs = this.#host.nowMs()
    const answer = await this.#host.send(this.#waiting.map(each => each.commit))
    const committed = this.#waiting.splice(0, answer.applied)
    for (const each of committed) {
      this.#bytes -= sizeOf(each.commit)
      each.committed()
    }
    await this.#host.noteAnswer(answer)
    this.#full = answer.full !== undefined
    if (answer.full !== undefined) this.#givenUp = !(await this.#host.waitForRoom(answer.full))
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

function sizeOf(commit: IterationCommit): number {
  return commit.pushes.reduce((sum, push) => sum + push.entry.length, 0)
}
