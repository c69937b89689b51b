// The client of Second Look: content in, decisions out, and webhooks that are checked.

export type { BatchSize, Refused, Submitted } from './batches.js'
export { Client } from './client.js'
export type { Cancellable, ClientOptions, FeedOptions, Report } from './client.js'
export {
  ClientError, Conflict, Forbidden, Invalid, NotFound, ProblemError, TooLarge, TooManyRequests, Unauthenticated,
  Unavailable, UnexpectedAnswer, Unreachable, WebhookRefused,
} from './errors.js' // prettier-ignore
export type { Retries } from './retries.js'
export type * from './types.js'
export { checkSignature, verifyWebhook } from './webhooks.js'
export type { VerifyOptions, WebhookHeaders, WebhookMessage } from './webhooks.js'
