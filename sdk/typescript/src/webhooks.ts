// Webhooks: who sent this? By the Standard Webhooks convention, with WebCrypto.

import { UnexpectedAnswer, WebhookRefused } from './errors.js'
import type { FollowedDecision } from './types.js'

const PREFIX = 'whsec_'
const SIGNATURE = /^v1,([A-Za-z0-9+/]{43}=)$/
const ENCODER = new TextEncoder()

/** The headers of a request: of `fetch`, or of Node's `http`. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>

export interface VerifyOptions {
  /** Seconds that the time of sending may lie before or after now; 300 by default. */
  tolerance?: number
  /** Seconds since 1970; by default this machine's clock. */
  now?: number
}

/**
 * What a webhook brings. It may come more than once, each time with the same `id`. Of one piece of content the decision
 * with the highest `sequence` counts. `decision` is null unless `type` is `decision.published`: for a `webhook.test`, or
 * what a later version adds, answer 200 and do nothing.
 */
export interface WebhookMessage {
  id: string
  type: string
  timestamp: string
  decision: FollowedDecision | null
}

/**
 * Check the signature of a webhook, then read it.
 *
 * @param secrets `whsec_…`; while one is being replaced, both
 * @param headers the request's
 * @param body the request's, as it arrived: bytes, or its text; never JSON that was read and written again
 * @throws WebhookRefused it is forged, changed on its way, or sent too long ago; answer 400
 * @throws UnexpectedAnswer it is genuine, and not what Second Look sends
 * @throws TypeError there is no secret, or one is not `whsec_` and base64
 */
export async function verifyWebhook(
  secrets: string | readonly string[],
  headers: WebhookHeaders,
  body: Uint8Array | ArrayBuffer | string,
  options: VerifyOptions = {},
): Promise<WebhookMessage> {
  const id = await checkSignature(secrets, headers, body, options)
  try {
    const text = typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body)
    const read = JSON.parse(text) as { type: unknown; timestamp: unknown; data: unknown }
    if (typeof read.type === 'string' && typeof read.timestamp === 'string') {
      const decision = read.type === 'decision.published' ? asDecision(read.data) : null
      return { id, type: read.type, timestamp: read.timestamp, decision }
    }
  } catch (error) {
    throw new UnexpectedAnswer('the webhook is signed, and brings no decision that this version can read', {
      cause: error,
    })
  }
  throw new UnexpectedAnswer('the webhook is signed, and has no type or no time')
}

/** Check the signature alone, of whatever body; returns the `webhook-id`. Throws what `verifyWebhook` throws. */
export async function checkSignature(
  secrets: string | readonly string[],
  headers: WebhookHeaders,
  body: Uint8Array | ArrayBuffer | string,
  { tolerance = 300, now = Date.now() / 1000 }: VerifyOptions = {},
): Promise<string> {
  const keys = (typeof secrets === 'string' ? [secrets] : secrets).map(keyOf)
  if (keys.length === 0) throw new TypeError('no secret is given: nothing could be verified')
  const [id, sentAt, signatures] = ['id', 'timestamp', 'signature'].map((name) => header(headers, `webhook-${name}`))
  if (!id || !sentAt || !/^[0-9]{1,12}$/.test(sentAt)) {
    throw new WebhookRefused('webhook-id or webhook-timestamp is missing or wrong')
  }
  if (!(Math.abs(now - Number(sentAt)) <= tolerance)) {
    throw new WebhookRefused('it was sent too long ago, or a clock is wrong')
  }
  const signed = joined(ENCODER.encode(`${id}.${sentAt}.`), bytesOf(body))
  for (const token of (signatures ?? '').split(' ')) {
    const base64 = SIGNATURE.exec(token)?.[1]
    for (const key of base64 ? keys : []) {
      if (await fits(key, decoded(base64 ?? ''), signed)) return id
    }
  }
  throw new WebhookRefused('no signature fits: it is forged, was changed on its way, or is meant for another secret')
}

async function fits(key: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>, signed: Uint8Array<ArrayBuffer>) {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
  return crypto.subtle.verify('HMAC', imported, signature, signed) // in constant time
}

function asDecision(data: unknown): FollowedDecision {
  const found = data as FollowedDecision
  const words = [found.decision_id, found.source, found.content_id, found.action, found.decided_by, found.decided_at]
  const whole = words.every((word) => typeof word === 'string') && Number.isSafeInteger(found.sequence)
  if (!whole || !['approve', 'reject'].includes(found.outcome) || !Array.isArray(found.labels)) {
    throw new TypeError('data is no decision')
  }
  return found
}

function header(headers: WebhookHeaders, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined
  for (const [key, value] of Object.entries(headers)) {
    if (key.toLowerCase() === name) return typeof value === 'string' ? value : value?.join(' ')
  }
  return undefined
}

function keyOf(secret: string): Uint8Array<ArrayBuffer> {
  const base64 = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret
  if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64) || base64 === '') {
    throw new TypeError("a webhook's secret is `whsec_` and base64: copy it as it was shown")
  }
  return decoded(base64)
}

function decoded(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
}

function bytesOf(body: Uint8Array | ArrayBuffer | string): Uint8Array {
  if (typeof body === 'string') return ENCODER.encode(body)
  if (body instanceof Uint8Array) return body
  if (body instanceof ArrayBuffer) return new Uint8Array(body)
  throw new TypeError('the body must be what arrived, bytes or text; JSON that was read and written again is another text')
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(one.length + other.length)
  whole.set(one)
  whole.set(other, one.length)
  return whole
}
