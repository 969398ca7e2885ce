/**
 * Where HTTP requests of nodes may go. Asked when a connection is made, of the address that DNS gave and that is then
 * connected to: so a name that means another address at the second look, a redirect and a literal address are all seen.
 *
 * What `allow` names may be asked; else what `deny` names may not; else `private` decides about private addresses; all
 * else may. A name that is allowed is trusted with whatever address it has.
 */
import { lookup as lookUp } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { buildConnector } from 'undici'
import { EngineError } from '../engine/errors.ts'
import { isLoopback, parseListen } from './listen.ts'

export type OutgoingRules = {
  /** Host names, `*.example.com` (below it), addresses, ranges such as `10.0.0.0/8`, `*`. */
  allow: readonly string[]
  deny: readonly string[]
  private: 'allow' | 'deny'
}

/** Why this address of this host may not be connected to; undefined when it may. */
type FaultOf = (host: string, address: string) => string | undefined
type Matches = (host: string, address: string) => boolean
type Connector = buildConnector.connector

/** What others on the network may reach, its workflows must not turn against what only this network reaches. */
export function outgoingRules({
  listen,
  outgoing,
}: {
  listen: string
  outgoing: { allow: string[]; deny: string[]; private?: 'allow' | 'deny' | undefined }
}): OutgoingRules {
  const byDefault = isLoopback(parseListen(listen).host) ? 'allow' : 'deny'
  return { ...outgoing, private: outgoing.private ?? byDefault }
}

/** Throws `USAGE` when it is no rule. */
export function parseOutgoingRule(text: string): Matches {
  const [network = '', bits, more] = text.split('/')
  const version = isIP(network)
  const bitsMax = version === 4 ? 32 : 128
  const isRange = bits !== undefined
  if (version > 0 && more === undefined && (!isRange || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax))) {
    const list = new BlockList()
    list.addSubnet(network, isRange ? Number(bits) : bitsMax, familyOf(network))
    return (_host, address) => list.check(address, familyOf(address))
  }
  if (text === '*') return () => true
  if (/^(?:\*\.)?[\w-]+(?:\.[\w-]+)*$/.test(text) && !/^[\d.]+$/.test(text)) return hostRule(text.toLowerCase())
  throw new EngineError('USAGE', `Cannot use the rule: "${text}" is no host, address or range`)
}

function hostRule(name: string): Matches {
  return name.startsWith('*.') ? host => host.endsWith(name.slice(1)) : host => host === name
}

export function outgoingPolicy(rules: OutgoingRules): FaultOf {
  const [allow, deny] = [rules.allow.map(parseOutgoingRule), rules.deny.map(parseOutgoingRule)]
  return (hostGiven, addressGiven) => {
    const host = hostGiven.toLowerCase().replace(/\.$/, '')
    const address = addressGiven.replace(/%.*$/, '')
    const isMatched = (all: readonly Matches[]) => all.some(matches => matches(host, address))
    if (isMatched(allow)) return undefined
    const what = host === address ? address : `${host} (${address})`
    if (isMatched(deny)) return `${what} is refused by "outgoing.deny"`
    if (rules.private === 'allow' || !privateRanges.check(address, familyOf(address))) return undefined
    return `${what} is a private address, which takes a rule in "outgoing.allow"`
  }
}

/** Makes connections with `connect`, where the policy lets it. */
export function guardedConnector(faultOf: FaultOf, build: typeof buildConnector): Connector {
  const connect = build({ lookup: guardedLookup(faultOf) } as buildConnector.BuildOptions)
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1')
    // an address is not looked up
    const fault = isIP(host) > 0 ? faultOf(host, host) : undefined
    if (fault === undefined) connect(options, callback)
    else callback(refusal(fault), null)
  }
}

function guardedLookup(faultOf: FaultOf): LookupFunction {
  return (host, options, callback) => {
    lookUp(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '')
      const fits = found.filter(({ address }) => faultOf(host, address) === undefined)
      const [first] = fits
      if (first === undefined) callback(refusal(faultOf(host, found[0]?.address ?? '') ?? `${host} has no address`), '')
      else if (options.all === true) callback(null, fits)
      else callback(null, first.address, first.family)
    })
  }
}

function refusal(fault: string): Error {
  return Object.assign(new Error(`${fault} (OUTGOING_DENIED)`), { code: 'OUTGOING_DENIED' })
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

/** This host, private and shared networks, link-local (with the metadata of clouds), multicast, reserved (RFC 6890). */
const privateIpv4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
/** Also what tunnels to IPv4: its addresses are not looked into. */
const privateIpv6 = [
  '::/127',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  '64:ff9b:1::/48',
  '2001::/32',
  '2002::/16',
]

const privateRanges = (() => {
  const list = new BlockList()
  for (const range of [...privateIpv4, ...privateIpv6]) {
    const [network = '', bits] = range.split('/')
    list.addSubnet(network, Number(bits), familyOf(network))
    // an IPv4 address as a NAT64 gateway writes it, and in the old form ::1.2.3.4; ::ffff:1.2.3.4 is known to the list
    if (isIP(network) === 4) {
      list.addSubnet(`64:ff9b::${network}`, 96 + Number(bits), 'ipv6')
      list.addSubnet(`::${network}`, 96 + Number(bits), 'ipv6')
    }
  }
  return list
})()
