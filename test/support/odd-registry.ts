/** The nodes that everybody has, but for a counter that ruins whoever runs it: for threads of the simulator. */
import { defaultRegistry, type NodeRegistry } from '../../engine/node/node-registry.ts'

const deeds: Record<string, () => void> = {
  hangs: () => {
    for (;;);
  },
  exits: () => process.exit(1),
}

export async function openRegistry({ nodes = '' }: { nodes?: string }): Promise<NodeRegistry> {
  const registry = defaultRegistry()
  const counter = registry.get('counter') as unknown as { prototype: { execute: unknown } }
  counter.prototype.execute = deeds[nodes]
  return registry
}
