/** The OpenAPI 3.1 document of the HTTP API, and the page that shows it: made once, from the tables of routes. */
import { z } from 'zod'
import type { Json, JsonObject } from '../engine/json.ts'
import { failure } from './api-answers.ts'
import { type Operation, operations } from './openapi-operations.ts'
import { type Access, accessTable } from './routes-access.ts'
import { version } from './version.ts'

type Paths = Record<string, Record<string, JsonObject>>

const errorAnswer = {
  description: 'What is wrong and what to do; `error_code` is for programs.',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
}
const about = `Workflows of theoneeye: definitions, runs, single nodes, webhooks, dead letters. A trailing slash changes nothing.
Every answer has an x-request-id. On this machine keys are optional, elsewhere each operation names the scope it takes.`

export function openApiDocument(): JsonObject {
  const paths: Paths = {}
  for (const [route, operation] of Object.entries(operations)) {
    const [method = '', path = ''] = route.split(' ')
    const place = path.replaceAll(/:(\w+)/g, '{$1}')
    paths[place] = { ...paths[place], [method.toLowerCase()]: operationOf(method, path, operation) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'theoneeye', version, description: about, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    paths: paths as unknown as Json,
    components: {
      schemas: { Error: schemaOf(failure, 'output') },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        header: { type: 'apiKey', in: 'header', name: 'X-Api-Key' },
      },
    },
  }
}

function operationOf(method: string, path: string, operation: Operation): JsonObject {
  const { summary, body, optional } = operation
  const access = accessTable[`${method} ${path}`] as Access
  return {
    operationId: operation.id ?? operationId(method, path),
    summary,
    tags: [tagOf(path)],
    parameters: parametersOf(path, operation),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: optional !== true,
            content: { 'application/json': { schema: schemaOf(body, 'input') } },
          },
        }),
    responses: { ...successOf(operation), default: errorAnswer },
    security: access === 'open' || access === 'webhook' ? [{}] : [{}, { bearer: [] }, { header: [] }],
    'x-scope': access,
  }
}

/** `postWorkflowNodesAdd`: what a generated client calls it. */
function operationId(method: string, path: string): string {
  const words = path.replace(/^\/api\//, '/').match(/[A-Za-z0-9]+/g) ?? []
  return method.toLowerCase() + words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

function tagOf(path: string): string {
  if (path.startsWith('/api/workflow')) return 'workflows'
  if (path.startsWith('/api/nodes') || path.includes('dev/execute')) return 'nodes'
  return path.startsWith('/api/webhooks') ? 'webhooks' : 'daemon'
}

function parametersOf(path: string, { query, guarded }: Operation): JsonObject[] {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }))
  const properties = query === undefined ? {} : (schemaOf(query, 'input').properties as JsonObject)
  const inQuery = Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }))
  const ifMatch = {
    name: 'If-Match',
    in: 'header',
    schema: { type: 'string' },
    description: 'The version that it is made from.',
  }
  return [...inPath, ...inQuery, ...(guarded === true ? [ifMatch] : [])]
}

function successOf({ answer, status, type = 'application/json' }: Operation): JsonObject {
  if (answer === undefined) return { [status ?? 204]: { description: 'Done.' } }
  const content = status === 101 ? {} : { content: { [type]: { schema: schemaOf(answer, 'output') } } }
  return { [status ?? 200]: { description: 'Done.', ...content } }
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  const { $schema: _, ...plain } = z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' })
  return JSON.parse(JSON.stringify(plain)) as JsonObject
}
