/**
 * Conditions came from Python, and people write JavaScript by habit. What looks like either but is not the expression
 * language gets a hint with the rewrite, so that an old workflow is ported by reading its load problems.
 */

const operators: Readonly<Record<string, string>> = {
  '&&': 'write "and"',
  '||': 'write "or"',
  '!': 'write "not x"',
  '===': 'write "=="',
  '!==': 'write "!="',
  '<>': 'write "!="',
  ':=': 'name a value with {% set x = … %} before it is used',
  '??': 'write "x | default(y)"',
  '?': 'write "a if condition else b"',
  '?.': 'write "." (a missing value stays empty along a chain)',
  '=>': 'there are no functions to write; use filters such as map and select',
  '->': 'there are no functions to write; use filters such as map and select',
  '&': 'write "and"',
  '^': 'write "**" for a power',
  ';': 'write one expression',
  '@': 'remove it',
  $: 'write data.name',
  '`': 'use "…" and join with ~',
  '\\': 'write the expression without line continuation',
  '#': 'remove the comment',
}

export function operatorHint(op: string): string | undefined {
  return Object.hasOwn(operators, op) ? operators[op] : undefined
}

/** `f"…"`, `r"…"`, `b"…"`. */
export function prefixHint(word: string): string | undefined {
  const prefix = word.toLowerCase()
  if (['f', 'fr', 'rf'].includes(prefix)) return 'join parts with ~, e.g. "Hello " ~ data.name'
  if (['r', 'b', 'u', 'rb', 'br'].includes(prefix)) return 'write the string without a prefix'
  return undefined
}

const words: Readonly<Record<string, string>> = {
  lambda: 'use a filter with an attribute, e.g. rows | map(attribute="price")',
  for: 'use filters instead of a comprehension, e.g. rows | selectattr("ok") | map(attribute="id") | list',
  await: 'remove it; expressions never wait',
  yield: 'remove it; an expression is one value',
  import: 'remove it; expressions import nothing',
  return: 'write the value alone',
  def: 'write one expression',
}

/** A Python statement or keyword that stands where an operator or a value should. */
export function wordHint(word: string): string | undefined {
  return Object.hasOwn(words, word) ? words[word] : undefined
}

const calls: Readonly<Record<string, string>> = {
  isinstance: 'write "x is string", "is number", "is mapping" or "is sequence"',
  type: 'write "x is string", "is number", "is mapping" or "is sequence"',
  tuple: 'write a list [a, b]',
  set: 'write "x | unique"',
  map: 'write "x | map(…)"',
  filter: 'write "x | select(…)" or "x | selectattr(…)"',
  reversed: 'write "x | reverse"',
  enumerate: 'use loop.index0 in a {% for %}',
  zip: 'use loop.index0 in a {% for %}',
  print: 'write the value alone',
  format: 'write "x | round(2)" or "%.2f" | format(x)',
  hasattr: 'write "x.name is defined"',
  getattr: 'write x.name or x[name]',
  cycler: 'use loop.cycle("a", "b") in a {% for %}',
  joiner: 'use "x | join(…)"',
  lipsum: 'remove it; templates draw nothing at random',
  defined: 'write "x is defined"',
  caller: 'macros are not supported',
  super: 'template inheritance is not supported',
  now: 'take the time from data; templates read no clock',
}

/** The rewrite for a function that does not exist here. */
export function callHint(name: string): string | undefined {
  return Object.hasOwn(calls, name) ? calls[name] : undefined
}

const methods: Readonly<Record<string, string>> = {
  append: 'write list + [item]; templates change nothing',
  push: 'write list + [item]; templates change nothing',
  extend: 'write a + b; templates change nothing',
  update: 'write dict(a, key=value); templates change nothing',
  pop: 'templates change nothing; read the element by its index',
  remove: 'write list | reject("eq", item)',
  sort: 'write list | sort',
  reverse: 'write list | reverse',
  toLowerCase: 'write x.lower()',
  toUpperCase: 'write x.upper()',
  trim: 'write x.strip()',
  includes: 'write "item in list"',
  indexOf: 'write x.find(part) for text, x.index(item) for lists',
  toString: 'write x | string',
  toFixed: 'write "%.2f" | format(x)',
  filter: 'write list | select(…) or list | selectattr(…)',
  map: 'write list | map(…)',
  has_key: 'write "key in x"',
  encode: 'text is Unicode already',
}

export function methodHint(name: string): string | undefined {
  return Object.hasOwn(methods, name) ? methods[name] : undefined
}
