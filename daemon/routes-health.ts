/** `/health/live`, `/health/ready`, `/metrics`: for whoever watches over the daemon. They need no keys. */
import type { FastifyInstance } from 'fastify'

export type Readiness = { ready: boolean /** why not, in words */; reasons: string[]; [fact: string]: unknown }

export type HealthSource = {
  readiness(): Promise<Readiness>
  metrics(): Promise<{ type: string; body: string }>
}

export function addHealthRoutes(app: FastifyInstance, source: HealthSource): void {
  // it answers, so its event loop turns: whatever else is wrong, a restart would not mend it
  app.get('/health/live', async () => ({ status: 'live' }))
  app.get('/health/ready', async (_request, reply) => {
    const { ready, ...rest } = await source.readiness()
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', ...rest })
  })
  app.get('/metrics', async (_request, reply) => {
    const { type, body } = await source.metrics()
    return reply.header('content-type', type).send(body)
  })
}
