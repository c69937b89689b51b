/** Calls of the reviewer API. Everything that goes wrong is a `Problem` or a `NetworkError`. */

/** RFC 9457 problem details, as the API answers them. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string | null,
    readonly errors: { field: string; problem: string }[],
    /** Seconds to wait before the next try; null where the answer names none. */
    readonly retryAfter: number | null,
  ) {
    super(detail || title)
  }
}

/** No answer came: whether the server acted on the request is unknown. */
export class NetworkError extends Error {}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type Listener = () => void

const expired = new Set<Listener>()
let skew = 0

/** Calls `listener` whenever the API no longer knows the session. Returns the way to end that. */
export function onUnauthenticated(listener: Listener): () => void {
  expired.add(listener)
  return () => expired.delete(listener)
}

/** The server's time in milliseconds, to about a second: clocks of browsers are often wrong. */
export function serverNow(): number {
  return Date.now() + skew
}

export interface CallOptions {
  signal?: AbortSignal | undefined
  /** Lets the request outlive the page. */
  keepalive?: boolean
  /** A 401 is an answer like any other: it does not open the login. */
  quiet?: boolean
}

/**
 * Calls a route; resolves with the JSON of the answer, or undefined for 204.
 * Rejects with Problem for an answer of 400 and above, and with NetworkError where none comes.
 */
export async function call<T>(method: Method, path: string, body?: unknown, options: CallOptions = {}): Promise<T> {
  let answer: Response
  try {
    answer = await fetch(path, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(options.signal ? { signal: options.signal } : {}),
      keepalive: options.keepalive ?? false,
    })
    measureSkew(answer)
    if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new NetworkError('no answer')
  }
  const problem = await read(answer)
  if (problem.status === 401 && !options.quiet) expired.forEach((listener) => listener())
  throw problem
}

export const get = <T>(path: string, query: Query = {}, options?: CallOptions) =>
  call<T>('GET', path + encode(query), undefined, options)
export const post = <T>(path: string, body: unknown = {}, options?: CallOptions) => call<T>('POST', path, body, options)

export type Query = Record<string, string | number | boolean | null | undefined>

/** A query string of what is set; empty without any. */
export function encode(query: Query): string {
  const set = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '')
  return set.length ? `?${new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString()}` : ''
}

/** A `content_id` for a path: it may hold slashes, which stay. */
export const inPath = (id: string): string => id.split('/').map(encodeURIComponent).join('/')

function measureSkew(answer: Response): void {
  const told = Date.parse(answer.headers.get('date') ?? '')
  if (Number.isNaN(told)) return
  // `Date` is cut to the second: half a second is added, and what lies within two seconds is taken for right.
  const off = told + 500 - Date.now()
  skew = Math.abs(off) > 2000 ? off : 0
}

async function read(answer: Response): Promise<Problem> {
  const wait = Number(answer.headers.get('retry-after'))
  const told = (await answer.json().catch(() => ({}))) as Partial<Problem>
  return new Problem(
    answer.status,
    told.title ?? answer.statusText,
    told.detail ?? '',
    told.code ?? null,
    told.errors ?? [],
    Number.isFinite(wait) && wait > 0 ? wait : null,
  )
}
