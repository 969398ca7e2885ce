/** The configuration: every problem at once, with its place; environment, secrets, paths; nothing secret is shown. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { changedKeys, completeConfig, type Environment, loadConfig } from '../../daemon/config.ts'
import { configKeys } from '../../daemon/config-schema.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'

function folderWith(yaml: string): string {
  const cwd = tempDir()
  writeFileSync(join(cwd, 'theoneeye.yaml'), yaml)
  return cwd
}

function load(yaml: string, env: Environment = {}) {
  return loadConfig({ cwd: folderWith(yaml), env })
}

/** The lines of the error, without its first. */
async function problemsOf(yaml: string, env: Environment = {}): Promise<string[]> {
  const error = await errorOf(() => load(yaml, env))
  expect(error.code, error.message).toBe('CONFIG_INVALID')
  return error.message
    .split('\n')
    .slice(1)
    .map(line => line.trim())
}

describe('loadConfig', () => {
  it('needs no file: everything has a default, paths are absolute', async () => {
    const cwd = tempDir()
    const { config, path } = await loadConfig({ cwd, env: {} })
    expect(path).toBe(undefined)
    expect(config).toEqual({
      redis_accept: [],
      data: join(cwd, '.theoneeye'),
      workflows: join(cwd, 'workflows'),
      files: join(cwd, 'files'),
      listen: '127.0.0.1:7878',
      auth: 'optional',
      cors_origins: [],
      rate_limit: {},
      outgoing: { allow: [], deny: [] },
      lease_seconds: 10,
      drain_timeout_seconds: 30,
      log: { level: 'info' },
      trace: { max_mb: 512, keep: 10, redact: [] },
    })
  })

  it('takes a key with nothing behind it as none', async () => {
    const { config } = await load('trace:\n  # dir: x\nlog: { level: }\nnodes:\n')
    expect(config).toMatchObject({ trace: { max_mb: 512, keep: 10 }, log: { level: 'info' } })
    expect(config.nodes).toBe(undefined)
  })

  it('takes an empty file as none', async () => expect((await load('# nothing\n')).config.lease_seconds).toBe(10))

  it('takes paths of the file from its folder, those of the environment from the working directory', async () => {
    const cwd = tempDir()
    mkdirSync(join(cwd, 'etc'))
    writeFileSync(join(cwd, 'etc/oe.yaml'), 'workflows: flows\nfiles: /srv/files\n')
    const { config } = await loadConfig({ cwd, path: 'etc/oe.yaml', env: { THEONEEYE_NODES: 'nodes' } })
    expect(config).toMatchObject({ workflows: join(cwd, 'etc/flows'), files: '/srv/files', nodes: join(cwd, 'nodes') })
  })

  it('says every problem at once: where, what, what to do', async () => {
    const yaml = [
      'lease_seconds: ten',
      'drain_timeout_secnds: 3',
      'listen: 0.0.0.0',
      'log: { level: loud, format: x }',
      'trace:',
      '  max_mb: 0.5',
      '  keep: -1',
      'redis: http://user:hunter2@h',
      'redis_accept: [everything]',
      'workflows: ""',
    ].join('\n')
    const problems = await problemsOf(yaml)
    expect(problems).toEqual([
      'theoneeye.yaml:1: lease_seconds: is "ten"; give a number of seconds from 1 to 3600',
      'theoneeye.yaml:2: drain_timeout_secnds: there is no such key; did you mean "drain_timeout_seconds"?',
      expect.stringMatching(/^theoneeye\.yaml:3: listen: "0\.0\.0\.0" is not of the form HOST:PORT; give an address/),
      'theoneeye.yaml:4: log.level: is "loud"; give one of debug, info, warn, error',
      'theoneeye.yaml:4: log.format: there is no such key; remove it',
      'theoneeye.yaml:6: trace.max_mb: is 0.5; give a whole number of megabytes from 1',
      'theoneeye.yaml:7: trace.keep: is -1; give a whole number of traces from 1',
      expect.stringMatching(/^theoneeye\.yaml:8: redis: it is not of the form redis:.*; give a URL/),
      'theoneeye.yaml:9: redis_accept: is "everything"; give a list of risks to accept: [eviction]',
      'theoneeye.yaml:10: workflows: is ""; give the folder of the workflow files',
    ])
    expect(problems.join()).not.toContain('hunter2')
  })

  it.each([
    ['log: info', 'theoneeye.yaml:1: log: is "info"; give keys under it: level'],
    ['- a\n- b', 'theoneeye.yaml: is no map of keys; write lines such as "listen: 127.0.0.1:7878"'],
    ['log: {level: info', /^theoneeye\.yaml:1:\d+: not YAML: /],
    ['listen: 127.0.0.1:1\nlisten: 127.0.0.1:2', /^theoneeye\.yaml:2:1: not YAML: .*unique/],
    [
      "outgoing: { allow: ['a b'] }",
      /^theoneeye\.yaml:1: outgoing\.allow: "a b" is no host, address or range; give a list of hosts/,
    ],
    ['listen: 7878', /^theoneeye\.yaml:1: listen: is 7878; give an address and port/],
  ])('%j', async (yaml, says) => expect(await problemsOf(yaml)).toEqual([expect.stringMatching(says)]))

  it('names a file that is not there', async () => {
    const error = await errorOf(() => loadConfig({ cwd: tempDir(), path: 'nowhere.yaml', env: {} }))
    expect(error.message).toMatch(/nowhere\.yaml: there is no such file; name a configuration file/)
  })
})

describe('options of the command line', () => {
  it('win over everything, and are named where they are wrong', async () => {
    const cwd = folderWith('redis: redis://file\n')
    const env = { THEONEEYE_REDIS: 'redis://env', THEONEEYE_DATA: 'env' }
    const { config } = await loadConfig({ cwd, env, given: { redis: 'redis://option', data: undefined } })
    expect(config).toMatchObject({ redis: 'redis://option', data: join(cwd, 'env') })
    const error = await errorOf(() => loadConfig({ cwd, env, given: { redis: 'http://x' } }))
    expect(error.message).toMatch(/\n {2}--redis: redis: /)
  })
})

describe('the environment', () => {
  it('has a variable for every key, and it wins over the file', async () => {
    const env = {
      THEONEEYE_LOG_LEVEL: 'debug',
      THEONEEYE_TRACE_MAX_MB: '7',
      THEONEEYE_LEASE_SECONDS: '2.5',
      THEONEEYE_REDIS_ACCEPT: '[eviction]',
      THEONEEYE_LISTEN: '',
    }
    const { config } = await load('log: { level: error }\nlisten: localhost:1\ntrace: { keep: 3 }', env)
    expect(config).toMatchObject({
      log: { level: 'debug' },
      trace: { max_mb: 7, keep: 3 },
      lease_seconds: 2.5,
      redis_accept: ['eviction'],
      listen: 'localhost:1',
    })
    expect(configKeys.map(({ env }) => env)).toContain('THEONEEYE_DRAIN_TIMEOUT_SECONDS')
  })

  it('is named where it is wrong', async () => {
    expect(await problemsOf('', { THEONEEYE_LOG_LEVEL: 'loud', THEONEEYE_TRACE_KEEP: 'x' })).toEqual([
      'THEONEEYE_LOG_LEVEL: log.level: is "loud"; give one of debug, info, warn, error',
      'THEONEEYE_TRACE_KEEP: trace.keep: is "x"; give a whole number of traces from 1',
    ])
  })

  it('reports variables that are no keys, without refusing: platforms set some on their own', async () => {
    const { warnings } = await load('', {
      THEONEEYE_LOG_LEVL: 'info',
      THEONEEYE_PORT: 'tcp://10.0.0.1:80',
      THEONEEYE_PLAN: 'p',
    })
    expect(warnings).toEqual([
      'THEONEEYE_LOG_LEVL: no key is called so; did you mean "THEONEEYE_LOG_LEVEL"?; it is ignored',
      'THEONEEYE_PORT: no key is called so; it is ignored',
    ])
  })
})

describe('secrets', () => {
  it('come from files and variables; a password keeps its odd characters inside a URL', async () => {
    const secret = join(tempDir(), 'password')
    writeFileSync(secret, 'p@ss/w#rd\n')
    const { config } = await load(`redis: "redis://user:\${file:${secret}}@h:1/2"\nfiles: \${env:DIR}`, { DIR: '/srv' })
    expect(config.redis).toBe('redis://user:p%40ss%2Fw%23rd@h:1/2')
    expect(config.files).toBe('/srv')
  })

  it('may be the whole URL, which is then taken as it is', async () => {
    const { config } = await load(`redis: \${env:URL}`, { URL: 'redis://:a%40b@h' })
    expect(config.redis).toBe('redis://:a%40b@h')
  })

  it('that are missing are problems of their key, and the only ones', async () => {
    expect(await problemsOf(`redis: "redis://:\${file:/no/such}@h"\nfiles: \${env:NONE}\ndata: \${key:x}`)).toEqual([
      `theoneeye.yaml:1: redis: \${file:/no/such} names a file that does not exist; create it, or correct the path`,
      `theoneeye.yaml:2: files: \${env:NONE} is not set in the environment; set it, or correct the name`,
      `theoneeye.yaml:3: data: \${key:x} is neither \${file:/path} nor \${env:NAME}; write one of these`,
    ])
  })

  it('are not shown, wherever they were put', async () => {
    const problems = await problemsOf(`redis: \${env:S}\nlog: { level: "\${env:S}" }`, { S: 'hunter2' })
    expect(problems).toHaveLength(2)
    expect(problems.join()).not.toContain('hunter2')
  })
})

describe('changedKeys', () => {
  it('tells what may change while the daemon runs', async () => {
    const cwd = tempDir()
    const before = await completeConfig({}, cwd)
    const after = await completeConfig({ log: { level: 'debug' }, listen: '127.0.0.1:1' }, cwd)
    expect(changedKeys(before, before)).toEqual([])
    expect(changedKeys(before, after)).toEqual([
      { key: 'listen', takes: 'restart' },
      { key: 'log.level', takes: 'reload' },
    ])
  })
})
