/** The version of this package, read from its manifest, which lies two folders above the built file and one above the source. */
import { existsSync, readFileSync } from 'node:fs'

const places = ['../../package.json', '../package.json'].map(path => new URL(path, import.meta.url))
const manifest = places.find(place => existsSync(place))

export const version: string =
  manifest === undefined ? 'unknown' : (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
