/** Addresses are fragments, `#/page/rest`: the server never sees them, and one page at `/` serves all. */
import { useSyncExternalStore } from 'react'

const subscribe = (listener: () => void) => {
  addEventListener('hashchange', listener)
  return () => removeEventListener('hashchange', listener)
}

/** The segments of the address: `['content', 'forum', 'a/b']` are the page and what it is about, decoded. */
export function segments(hash: string = location.hash): string[] {
  return hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decode)
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export const useSegments = (): string[] => segments(useSyncExternalStore(subscribe, () => location.hash))

/** The link to a page: `to('content', source, id)`. */
export const to = (...parts: string[]): string => `#/${parts.map(encodeURIComponent).join('/')}`

export const go = (...parts: string[]): void => {
  location.hash = to(...parts)
}
