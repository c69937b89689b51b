/** Messages in four languages as typed objects: `messages({ en, de, es, ar })` makes a hook that gives those in use. */
import { useSyncExternalStore } from 'react'

import { settings } from '../app/settings'

export const LANGUAGES = { en: 'English', de: 'Deutsch', es: 'Español', ar: 'العربية' } as const
export type Language = keyof typeof LANGUAGES

type Text = string | ((...values: never[]) => string)
/** The shape of `en`: the same keys, text for text, and functions with the same parameters. */
type Like<M> = { [K in keyof M]: M[K] extends (...values: infer V) => string ? (...values: V) => string : string }

/** The language in use: the one chosen, else the browser's first that is there, else English. */
export function language(): Language {
  const known = (tag: string): tag is Language => tag in LANGUAGES
  const wanted = [settings.get().language ?? '', ...navigator.languages.map((tag) => tag.split('-')[0] ?? '')]
  return wanted.find(known) ?? 'en'
}

export const direction = (): 'rtl' | 'ltr' => (language() === 'ar' ? 'rtl' : 'ltr')

/** The language in use, for a component that renders again when it changes. */
export const useLanguage = (): Language => useSyncExternalStore(settings.subscribe, language)

/** A hook that gives the messages of one page or part. English says which there are. */
export function messages<M extends Record<string, Text>>(all: { en: M } & Record<Exclude<Language, 'en'>, Like<M>>) {
  return (): Like<M> => all[useLanguage()] as Like<M>
}

/** The same, outside of components. */
export const plain = <M>(all: Record<Language, M>): M => all[language()]

/** The form of a word that goes with a number: `plural(n, { one: 'item', other: 'items' })`. */
export function plural(n: number, forms: Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }): string {
  return forms[new Intl.PluralRules(language()).select(n)] ?? forms.other
}

export const number = (value: number, options?: Intl.NumberFormatOptions): string =>
  new Intl.NumberFormat(language(), options).format(value)

export const percent = (share: number, digits = 1): string =>
  number(share, { style: 'percent', maximumFractionDigits: digits })

/** Date and time, as long as a table cell allows. */
export const time = (iso: string, options: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short' }) =>
  new Intl.DateTimeFormat(language(), options).format(new Date(iso))

/** A span of time in its largest unit: `3 hours`. */
export function span(seconds: number): string {
  const units = [['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1]] as const
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1]
  return number(Math.round(seconds / size), { style: 'unit', unit, unitDisplay: 'long' })
}

/** How long ago, or in how long: `5 minutes ago`. */
export function relative(iso: string, now: number = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1000
  const units = [['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1]] as const
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1]
  return new Intl.RelativeTimeFormat(language(), { numeric: 'auto' }).format(Math.round(seconds / size), unit)
}
