/** `/docs`: the OpenAPI document of the API, for programs and as a page without scripts. */
import type { FastifyInstance } from 'fastify'
import type { JsonObject } from '../engine/json.ts'
import { version } from './version.ts'

export function addDocsRoutes(app: FastifyInstance): void {
  let made: Promise<{ document: string; page: string }> | undefined
  const docs = () => {
    made ??= makeDocs()
    return made
  }
  for (const url of ['/docs/openapi.json', '/api/openapi.json']) {
    app.get(url, async (_request, reply) => reply.type('application/json; charset=utf-8').send((await docs()).document))
  }
  app.get('/docs', async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
      .send((await docs()).page),
  )
}

/** Loaded when somebody asks: most daemons are never asked, and all want to start soon. */
async function makeDocs(): Promise<{ document: string; page: string }> {
  const { openApiDocument } = await import('./openapi.ts')
  const document = openApiDocument()
  return { document: JSON.stringify(document), page: pageOf(document) }
}

type Line = { method: string; path: string; operation: JsonObject }

function pageOf({ paths }: JsonObject): string {
  const lines = Object.entries(paths as Record<string, Record<string, JsonObject>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Line => ({ method: method.toUpperCase(), path, operation })),
  )
  const tags = [...new Set(lines.map(({ operation }) => String((operation.tags as string[])[0])))]
  const groups = tags.map(tag => {
    const own = lines.filter(({ operation }) => (operation.tags as string[])[0] === tag)
    return `<h2>${tag}</h2>\n${own.map(lineOf).join('\n')}`
  })
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>theoneeye: HTTP API</title>
<style>${css}</style>
<h1>The HTTP API of theoneeye ${version}</h1>
<p>For programs: <a href="/docs/openapi.json">openapi.json</a> (OpenAPI 3.1). What goes wrong is told as
<code>{ error, detail, error_code, details?, form? }</code>. The scope is what a key must have, where keys are asked for.</p>
${groups.join('\n')}
</html>
`
}

function lineOf({ method, path, operation }: Line): string {
  const { summary, requestBody, responses, parameters } = operation
  const body = (requestBody as { content: JsonObject } | undefined)?.content
  const answers = Object.entries(responses as JsonObject).filter(([status]) => status !== 'default')
  const parts = [
    ...((parameters as JsonObject[]).length === 0 ? [] : [part('Parameters', parameters)]),
    ...(body === undefined ? [] : [part('Takes', body)]),
    ...answers.map(([status, answer]) => part(`Answers ${status}`, (answer as JsonObject).content ?? {})),
  ]
  return `<details><summary><b>${method}</b> <code>${asText(path)}</code> ${asText(String(summary))} <i>${asText(
    String(operation['x-scope']),
  )}</i></summary>${parts.join('')}</details>`
}

function part(title: string, value: unknown): string {
  return `<h3>${asText(title)}</h3><pre>${asText(JSON.stringify(value, null, 2))}</pre>`
}

function asText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

const css = `
:root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; max-width: 70rem }
summary { cursor: pointer; padding: .2rem 0 } summary b { display: inline-block; width: 4.5rem } i { opacity: .6; float: right }
pre { font: 12px/1.4 ui-monospace, monospace; overflow-x: auto; padding-left: 1rem } h3 { font-size: .9rem; margin: .5rem 0 0 }
`
