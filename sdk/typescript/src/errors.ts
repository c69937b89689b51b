// What can go wrong.
//
// ClientError
// ├── Unreachable              nobody answers, also after all tries
// ├── UnexpectedAnswer         an answer that is not the contract's: is the address right?
// ├── WebhookRefused           a webhook that Second Look did not sign, or that is too old
// └── ProblemError             the server says what is wrong (RFC 9457); `code` is a stable word
//     ├── Unauthenticated      401
//     ├── Forbidden            403
//     ├── NotFound             404
//     ├── Conflict             409   revision_reused, superseded, withdrawn
//     ├── TooLarge             413
//     ├── Invalid              422   `errors` names the fields
//     ├── TooManyRequests      429   `retryAfter` says when to come back
//     └── Unavailable          502, 503 and 504, also after all tries

import { retryAfter } from './retries.js'
import type { Problem, ProblemField } from './types.js'

/** Base of every error that this package throws on purpose. */
export class ClientError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** The service did not answer; what was sent may or may not have arrived. Send it again: a repeat is harmless. */
export class Unreachable extends ClientError {}

/** The answer is none that Second Look gives. Check the address, and what stands in between. */
export class UnexpectedAnswer extends ClientError {}

/** Nobody knows who sent this. Answer 400, and do nothing of what it says. */
export class WebhookRefused extends ClientError {}

/** A problem document. `code` is a stable word for programs; the message is for people. */
export class ProblemError extends ClientError {
  readonly status: number
  readonly code: string
  /** The first fields that are wrong, and why. */
  readonly errors: readonly ProblemField[]

  constructor(
    readonly problem: Problem,
    /** Seconds after which the server asks to try again; null where it says nothing of it. */
    readonly retryAfter: number | null = null,
  ) {
    super(problem.detail || problem.title)
    this.status = problem.status
    this.code = problem.code ?? (problem.type.replace(/\/+$/, '').split('/').pop() ?? '').replaceAll('-', '_')
    this.errors = problem.errors ?? []
  }
}

/** The key is unknown or revoked. */
export class Unauthenticated extends ProblemError {}
/** The key may not do this. */
export class Forbidden extends ProblemError {}
/** Nothing is known of it. */
export class NotFound extends ProblemError {}
/** The state moved on. A revision with this problem will never be decided; `code` says why. */
export class Conflict extends ProblemError {}
/** The body is larger than the server takes. */
export class TooLarge extends ProblemError {}
/** The request breaks its contract. */
export class Invalid extends ProblemError {}
/** The server asks to slow down, for longer than this client waits by itself. */
export class TooManyRequests extends ProblemError {}
/** The server, or what stands before it, cannot answer now. */
export class Unavailable extends ProblemError {}

const BY_STATUS: Record<number, typeof ProblemError> = {
  401: Unauthenticated,
  403: Forbidden,
  404: NotFound,
  409: Conflict,
  413: TooLarge,
  422: Invalid,
  429: TooManyRequests,
  502: Unavailable,
  503: Unavailable,
  504: Unavailable,
}

/** The error that an answer stands for, read to its end; null for what went well. */
export async function errorOf(answer: Response, where: string): Promise<ClientError | null> {
  if (answer.ok) return null
  const after = retryAfter(answer.headers.get('retry-after'))
  const type = (answer.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase()
  const text = await answer.text()
  const problem = type === 'application/problem+json' ? asProblem(text) : null
  if (problem) return new (BY_STATUS[answer.status] ?? ProblemError)({ ...problem, status: answer.status }, after)
  const said = `${where} answers ${answer.status}`
  const kind = BY_STATUS[answer.status]
  if (kind && answer.status >= 429) {
    const code = answer.status > 429 ? 'unavailable' : 'busy'
    return new kind({ type: 'about:blank', title: answer.statusText, status: answer.status, detail: said, code }, after)
  }
  return new UnexpectedAnswer(`${said}, without a problem document: is it Second Look?`)
}

function asProblem(text: string): Problem | null {
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found !== 'object' || found === null) return null
    const { type, title, detail } = found as Record<string, unknown>
    return [type, title, detail].every((part) => typeof part === 'string') ? (found as Problem) : null
  } catch {
    return null
  }
}
