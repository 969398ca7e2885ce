/**
 * The nodes that everybody has, but for a counter that ruins whoever runs it: for threads of the simulator. Plain
 * JavaScript over the built engine, as the nodes of a user are: a thread loads it without the help of a test runner.
 */
import { defaultRegistry } from '../../dist/engine/node/node-registry.js'

const deeds = {
  hangs: () => {
    for (;;);
  },
  exits: () => process.exit(1),
}

export async function openRegistry({ nodes = '' }) {
  const registry = defaultRegistry()
  registry.get('counter').prototype.execute = deeds[nodes]
  return registry
}
