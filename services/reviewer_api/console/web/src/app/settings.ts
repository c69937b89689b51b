/** What a person sets for this browser. It never holds anything of content. */
import { useSyncExternalStore } from 'react'

export interface Settings {
  theme: 'system' | 'light' | 'dark'
  /** null: the browser's. */
  language: 'en' | 'de' | 'es' | 'ar' | null
  /** Shortcuts of a single letter or digit; off for those who use speech input. */
  keys: boolean
  /** When text is covered until it is revealed: always, where the author or the thread has severe labels, or never. */
  veil: 'always' | 'severe' | 'never'
  /** From which severity on a label is severe; null: the highest of the policy. */
  severeFrom: number | null
  /** Minutes of review until a break is offered; 0: never. */
  breakEvery: number
  /** Severe items in a row until a break is offered; 0: never. */
  severeInARow: number
}

const DEFAULTS: Settings = {
  theme: 'system', language: null, keys: true, veil: 'severe', severeFrom: null, breakEvery: 45, severeInARow: 5,
}
const PLACE = 'second-look-settings'

let current: Settings = read()
const listeners = new Set<() => void>()

function read(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(PLACE) ?? '{}') as Partial<Settings>) }
  } catch {
    return DEFAULTS
  }
}

export const settings = {
  get: (): Settings => current,
  set(change: Partial<Settings>): void {
    current = { ...current, ...change }
    try {
      localStorage.setItem(PLACE, JSON.stringify(current))
    } catch {
      // A browser that stores nothing keeps the settings until the page closes.
    }
    listeners.forEach((listener) => listener())
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

export const useSettings = (): Settings => useSyncExternalStore(settings.subscribe, settings.get)

addEventListener('storage', (event) => {
  if (event.key !== PLACE) return
  current = read()
  listeners.forEach((listener) => listener())
})
