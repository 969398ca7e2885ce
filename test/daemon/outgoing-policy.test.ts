/** Where requests of nodes may go: the rules as a table, then real servers that must not be reached. */
import { createServer } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type OutgoingRules, outgoingPolicy, outgoingRules, parseOutgoingRule } from '../../daemon/outgoing-policy.ts'
import { systemHttp } from '../../daemon/system-ports.ts'
import type { JsonObject } from '../../engine/json.ts'
import { DaemonProcess, daemonFolder } from '../support/daemon-process.ts'
import { sketch } from '../support/engine-bench.ts'
import { errorOf } from '../support/temp-dir.ts'

const closed: OutgoingRules = { allow: [], deny: [], private: 'deny' }
const open: OutgoingRules = { allow: [], deny: [], private: 'allow' }

describe('the policy', () => {
  it.each([
    ...[
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.0.1',
      '169.254.169.254',
    ],
    ...['100.64.0.1', '198.19.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'fd00::1', 'fe80::1', 'fe80::1%eth0'],
    ...[
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:a00:1',
      '::127.0.0.1',
      '64:ff9b::10.0.0.1',
      '64:ff9b::a9fe:a9fe',
      '2002:a00:1::',
    ],
  ])('%s is private', address => {
    expect(outgoingPolicy(closed)('h.test', address)).toMatch(/h\.test .*private.*outgoing\.allow/)
    expect(outgoingPolicy(open)('h.test', address)).toBeUndefined()
  })

  it.each([
    '93.184.216.34',
    '172.32.0.1',
    '100.128.0.1',
    '11.0.0.1',
    '2606:2800::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
  ])('%s is not', address => expect(outgoingPolicy(closed)('h.test', address)).toBeUndefined())

  it.each<[Partial<OutgoingRules>, string, string, 'may' | 'may not']>([
    [{ deny: ['bad.test'] }, 'bad.test', '8.8.8.8', 'may not'],
    [{ deny: ['bad.test'] }, 'BAD.test.', '8.8.8.8', 'may not'],
    [{ deny: ['bad.test'] }, 'a.bad.test', '8.8.8.8', 'may'],
    [{ deny: ['*.bad.test'] }, 'a.bad.test', '8.8.8.8', 'may not'],
    [{ deny: ['*.bad.test'] }, 'bad.test', '8.8.8.8', 'may'],
    [{ deny: ['*.bad.test'] }, 'notbad.test', '8.8.8.8', 'may'],
    [{ deny: ['8.8.0.0/16'] }, 'x.test', '8.8.8.8', 'may not'],
    [{ deny: ['8.8.0.0/16'] }, 'x.test', '::ffff:8.8.8.8', 'may not'],
    [{ deny: ['8.8.0.0/16'] }, 'x.test', '8.9.0.0', 'may'],
    [{ deny: ['2001:db8::/32'] }, 'x.test', '2001:db8::1', 'may not'],
    [{ deny: ['*'], allow: ['good.test'] }, 'good.test', '8.8.8.8', 'may'],
    [{ deny: ['*'], allow: ['good.test'] }, 'other.test', '8.8.8.8', 'may not'],
    [{ private: 'deny', allow: ['10.0.0.0/8'] }, 'x.test', '10.1.2.3', 'may'],
    [{ private: 'deny', allow: ['10.0.0.0/8'] }, 'x.test', '192.168.0.1', 'may not'],
    [{ private: 'deny', allow: ['db.test'] }, 'db.test', '10.1.2.3', 'may'],
    [{ deny: ['0.0.0.0/0'] }, 'x.test', '8.8.8.8', 'may not'],
  ])('%j: %s at %s %s be asked', (rules, host, address, outcome) => {
    expect(outgoingPolicy({ ...open, ...rules })(host, address) === undefined).toBe(outcome === 'may')
  })

  it.each(['', 'a b', 'http://a', '10.0.0.0/33', '10.0.0/8', '1.2.3', '::/129', 'a.*', '10.0.0.0/8/8', '*.'])(
    '%j is no rule',
    async text => expect(await errorOf(() => parseOutgoingRule(text))).toMatchObject({ code: 'USAGE' }),
  )

  it.each<[string, 'allow' | 'deny' | undefined, 'allow' | 'deny']>([
    ['127.0.0.1:1', undefined, 'allow'],
    ['127.0.0.1:1', 'deny', 'deny'],
    ['0.0.0.0:1', undefined, 'deny'],
    ['0.0.0.0:1', 'allow', 'allow'],
  ])('of a daemon at %s, told %s: private addresses: %s', (listen, told, expected) =>
    expect(outgoingRules({ listen, outgoing: { allow: [], deny: [], private: told } }).private).toBe(expected),
  )
})

/** A server at an address of this machine, which counts who comes. */
async function serve(host: string, location?: string) {
  const seen = { requests: 0, connections: 0, port: 0 }
  const server = createServer((_request, response) => {
    seen.requests += 1
    response.writeHead(location === undefined ? 200 : 302, location === undefined ? {} : { location }).end('there')
  })
  server.on('connection', () => {
    seen.connections += 1
  })
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  seen.port = (server.address() as { port: number }).port
  return seen
}

function ask(url: string, outgoing: OutgoingRules) {
  const signal = new AbortController().signal
  return systemHttp({ outgoing }).request({ method: 'GET', url, headers: {}, timeoutMs: 5_000, signal })
}

describe('a request', () => {
  it.each<[string, string, OutgoingRules]>([
    ['a literal address', '127.0.0.1', closed],
    ['the same, written otherwise', '0x7f.1', closed],
    ['the same, as IPv6', '[::ffff:127.0.0.1]', closed],
    ['a name that DNS leads there', 'localhost', closed],
    ['a name whose address is denied', 'localhost', { ...open, deny: ['127.0.0.0/8', '::1'] }],
    ['a name that is denied', 'localhost', { ...open, deny: ['localhost'] }],
  ])('to %s is refused before it connects', async (_, host, rules) => {
    const server = await serve('127.0.0.1')
    const error = await errorOf(() => ask(`http://${host}:${server.port}/`, rules))
    expect(error).toMatchObject({ code: 'HTTP_FAILED', details: { code: 'OUTGOING_DENIED' } })
    expect(error.message).toMatch(/^Cannot GET http:.*"outgoing\.(?:allow|deny)" \(OUTGOING_DENIED\)$/)
    expect(server).toMatchObject({ requests: 0, connections: 0 })
  })

  it('that is redirected to where it may not go is refused there', async () => {
    const hidden = await serve('127.0.0.2')
    const front = await serve('127.0.0.1', `http://127.0.0.2:${hidden.port}/`)
    const rules: OutgoingRules = { ...closed, allow: ['127.0.0.1'] }
    const error = await errorOf(() => ask(`http://127.0.0.1:${front.port}/`, rules))
    expect(error.message).toMatch(/127\.0\.0\.2 is a private address/)
    expect([front.requests, hidden.connections]).toEqual([1, 0])
    const both: OutgoingRules = { ...closed, allow: ['127.0.0.0/8'] }
    expect(await ask(`http://127.0.0.1:${front.port}/`, both)).toMatchObject({ status: 200, body: 'there' })
  })

  it.each([
    ['a name that is allowed', 'localhost', { ...closed, allow: ['localhost'] }],
    ['a name with an address that is allowed', 'localhost', { ...closed, allow: ['127.0.0.1'] }],
    ['anywhere', '127.0.0.1', open],
  ])('to %s is answered', async (_, host, rules) => {
    const server = await serve('127.0.0.1')
    expect(await ask(`http://${host}:${server.port}/`, rules)).toMatchObject({ body: 'there' })
  })
})

it.each(['async', 'thread', 'process'])('a daemon keeps to its policy in pool %s', async pool => {
  const server = await serve('127.0.0.1')
  const form: JsonObject = { url: `http://127.0.0.1:${server.port}/`, on_error: 'fail' }
  const settings = { loops: { count: { pool } } }
  const asking = sketch({
    ...{ id: 'asking', settings, edges: 'count>ask' },
    nodes: { count: ['counter', { min_value: 1, max_value: 1 }], ask: ['http-request', form] },
  })
  const cwd = daemonFolder({ asking }, { 'theoneeye.yaml': 'outgoing: { private: deny }' })
  const daemon = await DaemonProcess.ready({ cwd })
  expect((await daemon.logs(/^dead letter: /)).msg).toMatch(/OUTGOING_DENIED/)
  expect(server.connections).toBe(0)
})
