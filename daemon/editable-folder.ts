/**
 * The folder of workflow files as development mode has it: what is edited over HTTP is written back to the files, in the
 * shape they have. A file is replaced as a whole, and what was written is taken over before the answer.
 */
import { createHash } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EngineError, messageOf } from '../engine/errors.ts'
import type { JsonObject } from '../engine/json.ts'

export type EditableFolder = {
  /** `file` is its name in the folder. Rejects with `FILE_FAILED`. */
  write(file: string, json: JsonObject): Promise<void>
  remove(file: string): Promise<void>
}

/** `takeOver` resolves when the files were read anew. */
export function editableFolder(dir: string, takeOver: () => Promise<void>): EditableFolder {
  const change = async (file: string, work: (path: string) => Promise<void>): Promise<void> => {
    try {
      await work(join(dir, file))
    } catch (error) {
      throw new EngineError('FILE_FAILED', `Cannot change the workflow file "${file}": ${messageOf(error)}`)
    }
    await takeOver()
  }
  return {
    write: (file, json) =>
      change(file, async path => {
        // hidden, so that nobody takes it for a workflow
        const draft = join(dir, `.${file}.${process.pid}.draft`)
        await writeFile(draft, `${JSON.stringify(json, null, 2)}\n`)
        await rename(draft, path)
      }),
    remove: file => change(file, path => rm(path)),
  }
}

/** A name for the file of a new workflow that none of `taken` has: `orders.json`, `orders-2.json`. */
export function newFileName(id: string, taken: ReadonlySet<string>): string {
  const name = id.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '') || 'workflow'
  for (let n = 1; ; n++) {
    const file = n === 1 ? `${name}.json` : `${name}-${n}.json`
    if (!taken.has(file)) return file
  }
}

/** Another number for another content: the version of a file, which has no history. */
export function versionOfContent(json: JsonObject): number {
  return Number.parseInt(createHash('sha256').update(JSON.stringify(json)).digest('hex').slice(0, 12), 16)
}
