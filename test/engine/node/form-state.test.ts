import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../engine/json.ts'
import { defineForm, type Form } from '../../../engine/node/form.ts'
import { choice, computedChoice, number, password, text } from '../../../engine/node/form-fields.ts'
import { dependencyOrder, FormState } from '../../../engine/node/form-state.ts'

const cities: Record<string, string[]> = { de: ['Berlin', 'Bonn'], at: ['Wien'] }
const streets: Record<string, string[]> = { Berlin: ['Linienstraße'], Wien: ['Ring'] }
const options = (names: readonly string[] = []) => names.map(value => ({ value, label: value.toUpperCase() }))

/** Three levels, declared from the bottom up; `note` depends on nothing. */
function address(asked: string[] = []): Form {
  return defineForm({
    street: computedChoice({
      label: 'Street',
      depends_on: ['city'],
      choicesFor: async ({ city }) => {
        asked.push(`street of ${city}`)
        return options(streets[String(city)])
      },
    }),
    city: computedChoice({
      label: 'City',
      depends_on: ['country'],
      choicesFor: ({ country }) => {
        asked.push(`city of ${country}`)
        return options(cities[String(country)])
      },
    }),
    country: choice({ label: 'Country', labels: { de: 'Germany', at: 'Austria' }, default: 'de' }),
    note: text({ label: 'Note' }),
    token: password({ label: 'Token' }),
  })
}

const valuesOf = (form: FormState) =>
  Object.fromEntries(form.toJSON().map(field => [field.name, field.value])) as JsonObject
const fieldOf = (form: FormState, name: string) => form.toJSON().find(field => field.name === name)

describe('FormState', () => {
  it('computes choices from the top down, whatever the order of the fields', async () => {
    const asked: string[] = []
    const form = await new FormState(address(asked), { city: 'Berlin' }).settled()
    expect(asked).toEqual(['city of de', 'street of Berlin'])
    expect(fieldOf(form, 'street')?.options).toEqual([{ value: 'Linienstraße', label: 'LINIENSTRASSE' }])
  })

  it('clears all that depends on what changed, at any depth, and nothing else', async () => {
    const asked: string[] = []
    const form = new FormState(address(asked), { city: 'Berlin', street: 'Linienstraße', note: 'x' })
    await form.settled()
    asked.length = 0
    await form.update({ country: 'at' })
    expect(valuesOf(form)).toEqual({ street: null, city: null, country: 'at', note: 'x', token: null })
    expect(asked).toEqual(['city of at', 'street of null'])
    expect(fieldOf(form, 'city')?.options.map(each => each.value)).toEqual(['Wien'])
    await form.update({ city: 'Wien' })
    expect(fieldOf(form, 'street')?.options.map(each => each.value)).toEqual(['Ring'])
  })

  it('keeps a dependent value that is given too and still fits', async () => {
    const form = new FormState(address(), { city: 'Bonn' })
    await form.update({ country: 'at', city: 'Wien' })
    expect(valuesOf(form).city).toBe('Wien')
    await form.update({ country: 'de', city: 'Wien' })
    expect(valuesOf(form).city).toBe(null)
  })

  it('does nothing when a value is given again', async () => {
    const asked: string[] = []
    const form = new FormState(address(asked), { city: 'Berlin' })
    await form.settled()
    asked.length = 0
    await form.update({ country: 'de', note: 'x' })
    expect({ asked, city: valuesOf(form).city }).toEqual({ asked: [], city: 'Berlin' })
  })

  it('applies updates one after another', async () => {
    const form = new FormState(address())
    await Promise.all([form.update({ country: 'at' }), form.update({ city: 'Wien' }), form.update({ street: 'Ring' })])
    expect(valuesOf(form)).toMatchObject({ country: 'at', city: 'Wien', street: 'Ring' })
    expect(await form.problems()).toEqual([])
  })

  it('tells a value that is no choice of now, and a template is one', async () => {
    const form = new FormState(address(), { city: 'Paris' })
    expect(await form.problems()).toEqual([
      { field: 'city', code: 'FORM_INVALID', message: 'must be one of Berlin, Bonn' },
    ])
    expect(await new FormState(address(), { city: '{{ data.city }}' }).problems()).toEqual([])
  })

  it('shows choices that cannot be computed at their field', async () => {
    const form = defineForm({
      a: computedChoice({
        label: 'A',
        choicesFor: () => {
          throw new Error('no network')
        },
      }),
      n: number({ label: 'N' }),
    })
    const state = await new FormState(form, { n: 'x' }).settled()
    expect(state.toJSON().map(field => field.errors)).toEqual([
      ['has no choices: no network'],
      ['is "x"; must be a number'],
    ])
  })

  it('never shows a secret, and keeps it', async () => {
    const form = new FormState(address(), { token: 'hunter2' })
    await form.update({ note: 'x' })
    expect(JSON.stringify(form)).not.toContain('hunter2')
    expect(form.values.token).toBe('hunter2')
  })

  it('refuses a field that is not there, and goes on', async () => {
    const form = new FormState(address())
    await expect(form.update({ planet: 'x' })).rejects.toThrow(/"planet": the form has street, city/)
    await form.update({ note: 'y' })
    expect(valuesOf(form).note).toBe('y')
  })
})

describe('dependencyOrder', () => {
  it.each([
    ['a ring', { a: ['b'], b: ['c'], c: ['a'] }, /"a" → "b" → "c" → "a"/],
    ['itself', { a: ['a'] }, /"a" → "a"/],
    ['nothing', { a: ['x'] }, /"a" → "x" does not exist/],
  ])('refuses a field that depends on %s', (_name, given, message) => {
    const fields = Object.entries(given).map(([name, depends_on]) => [name, text({ label: name, depends_on })])
    expect(() => dependencyOrder(defineForm(Object.fromEntries(fields)))).toThrow(message)
  })

  it('puts every field behind all that it depends on', () => {
    const draws = fc.array(fc.array(fc.nat({ max: 9 }), { maxLength: 3 }), { minLength: 1, maxLength: 10 })
    fc.assert(
      fc.property(draws, given => {
        // each depends on earlier ones only; declared backwards, so that the order has work to do
        const names = given.map((_, i) => `f${i}`)
        const parents = given.map((below, i) => [...new Set(below.filter(n => n < i).map(n => `f${n}`))])
        const fields = names.map(
          (name, i) => [name, text({ label: name, depends_on: parents[i] as string[] })] as const,
        )
        const order = dependencyOrder(defineForm(Object.fromEntries(fields.toReversed())))
        expect([...order].sort()).toEqual([...names].sort())
        for (const [i, name] of names.entries()) {
          for (const parent of parents[i] as string[]) expect(order.indexOf(parent)).toBeLessThan(order.indexOf(name))
        }
      }),
    )
  })
})
