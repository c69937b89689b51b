// When to send again.

/** Statuses that pass: what stands behind them may be sent again. */
export const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504])

/**
 * How often a request is sent, and how long to wait in between: from `first` seconds, doubled each time, to `longest`,
 * with chance in it. A server's `Retry-After` is honoured; where it is longer than `longest`, the error is thrown at
 * once, with it. `tries` counts the first one; `Infinity` never gives up.
 *
 * Every request of this package can be repeated: what has arrived before changes nothing.
 */
export interface Retries {
  tries: number
  first: number
  longest: number
}

export const RETRIES: Readonly<Retries> = { tries: 6, first: 0.5, longest: 30 }

/** Seconds until the next try after `failed` ones; null: no more. */
export function wait(retries: Retries, failed: number, retryAfter: number | null = null): number | null {
  if (failed >= retries.tries || (retryAfter !== null && retryAfter > retries.longest)) return null
  const own = Math.min(retries.longest, retries.first * 2 ** Math.min(failed - 1, 30)) * (0.5 + Math.random() / 2)
  return retryAfter === null ? own : Math.min(retries.longest, Math.max(own, retryAfter))
}

/** Seconds, of a `Retry-After` header: a number of them, or a date. Null where it is neither. */
export function retryAfter(value: string | null): number | null {
  const text = value?.trim()
  if (!text) return null
  if (/^-?[0-9]+(\.[0-9]+)?$/.test(text)) return Math.max(0, Number(text))
  const at = /^[A-Za-z]{3},? /.test(text) ? Date.parse(text) : NaN
  return Number.isNaN(at) ? null : Math.max(0, (at - Date.now()) / 1000)
}

/** Wait so many seconds; throws the signal's reason if it is aborted meanwhile. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', left)
      resolve()
    }, seconds * 1000)
    if (signal?.aborted) left()
    else signal?.addEventListener('abort', left, { once: true })
  })
}
