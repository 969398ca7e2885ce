/** `keys add|list|revoke`: who may ask the daemon over HTTP, and for what. A key is shown once, when it is made. */
import { InvalidArgumentError } from 'commander'
import { EngineError } from '../../engine/errors.ts'
import { listApiKeys, revokeApiKey, type Scope, scopes } from '../../engine/store/api-keys.ts'
import { issueKey } from '../api-keys.ts'
import type { Output } from '../output.ts'
import { type CommonOptions, withRedis } from '../session.ts'
import { systemClock } from '../system-ports.ts'
import { type AddCommand, withDataOption, withJson, withRedisOption } from './command.ts'

export const addKeys: AddCommand = (program, register) => {
  const group = program.command('keys').description('keys of the HTTP API')
  const add = (name: string, description: string) =>
    withDataOption(withRedisOption(withJson(group.command(name).description(description))))
  const adder = add('add', 'make a key; it is shown this once')
    .argument('<name>', 'who will hold it')
    .requiredOption('--scope <list>', `${scopes.join(', ')}, one or more with commas; admin may do all`, scopeList)
  register(adder, (out, [name], options) => issue(out, name, options))
  register(add('list', 'all keys, by name and scopes'), (out, _words, options) => list(out, options))
  register(add('revoke', 'have keys open nothing any more').argument('<ids...>'), (out, [ids], options) =>
    revoke(out, ids, options),
  )
}

function scopeList(text: string): Scope[] {
  const words = text.split(',').map(word => word.trim())
  const wrong = words.find(word => !scopes.includes(word as Scope))
  if (wrong === undefined) return [...new Set(words)] as Scope[]
  throw new InvalidArgumentError(`"${wrong}" is no scope; give some of ${scopes.join(', ')}.`)
}

async function issue(out: Output, name: string, options: CommonOptions & { scope: Scope[] }): Promise<number> {
  if (!/^[^\p{Cc}]{1,200}$/u.test(name)) {
    throw new EngineError(
      'USAGE',
      'Cannot make a key: its name must have 1 to 200 characters, none of them a control one',
    )
  }
  const wanted = { name, scopes: options.scope }
  const { id, key } = await withRedis(options, out, redis => issueKey(redis, wanted, systemClock().now()))
  out.note(`key ${id} of ${name} (${options.scope.join(', ')}); it is not shown again:`)
  out.json({ type: 'key_added', id, ...wanted, key })
  out.text(key)
  return 0
}

async function list(out: Output, options: CommonOptions): Promise<number> {
  const keys = await withRedis(options, out, listApiKeys)
  const rows = keys.map(({ id, name, scopes: held, createdAt }) => {
    const created_at = new Date(createdAt).toISOString()
    out.json({ id, name, scopes: [...held], created_at })
    return [id, name, held.join(', '), created_at]
  })
  if (rows.length === 0) out.text('there are no keys; make one: theoneeye keys add NAME --scope read')
  else out.table(['id', 'name', 'scopes', 'made'], rows)
  return 0
}

async function revoke(out: Output, ids: readonly string[], options: CommonOptions): Promise<number> {
  return withRedis(options, out, async redis => {
    let missing = 0
    for (const id of ids) {
      if (await revokeApiKey(redis, id, systemClock().now())) {
        out.json({ type: 'key_revoked', id })
        out.text(`revoked ${id}`)
        continue
      }
      missing += 1
      out.error(new EngineError('USAGE', `Cannot revoke key "${id}": there is none; see theoneeye keys list`))
    }
    return missing > 0 ? 2 : 0
  })
}
