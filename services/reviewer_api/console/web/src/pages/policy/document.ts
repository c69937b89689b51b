/** A policy as the document that people read and change, and what a change does to its lines. */
import { diffLines } from 'diff'
import { stringify } from 'yaml'

/** YAML that the API reads back; what is not set is left out. */
export const documentOf = (policy: object): string =>
  stringify(policy, (_, value: unknown) => (value === null ? undefined : value), {
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
    lineWidth: 0,
  })

export interface Line {
  text: string
  is: 'same' | 'new' | 'gone'
}

/** The lines of both documents in order. */
export const difference = (before: string, after: string): Line[] =>
  diffLines(before, after).flatMap(({ value, added, removed }) =>
    value.replace(/\n$/, '').split('\n').map((text) => ({ text, is: added ? 'new' : removed ? 'gone' : 'same' }) as const),
  )
