/** A module that exports `openRegistry(options)`: how a thread gets at custom nodes. */
import type { NodeRegistry } from '../engine/node/node-registry.ts'

export type RegistryModule = { url: string; options: { nodes?: string } }

export async function openRegistryOf({ url, options }: RegistryModule): Promise<NodeRegistry> {
  const module = (await import(url)) as { openRegistry(options: { nodes?: string }): Promise<NodeRegistry> }
  return await module.openRegistry(options)
}
