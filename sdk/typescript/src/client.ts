// The client.

import { BATCH, Batches, type BatchSize, type Line, type Submitted } from './batches.js'
import { type ClientError, errorOf, ProblemError, TooLarge, UnexpectedAnswer, Unreachable } from './errors.js'
import { BUSY, RETRIES, type Retries, sleep, wait } from './retries.js'
import { Events } from './sse.js'
import type { Accepted, AcceptedLines, AcceptedReport, Content, ContentSubmitted } from './types.js'
import type { FeedPage, Filter, Followed, FollowedDecision, Withdrawn } from './types.js'

const SILENCE = 45 // seconds after which a stream counts as broken; the server gives a sign of life every 15

export interface ClientOptions {
  /** An API key of the role `service`. */
  key: string
  /** Of the reviewer API, which tells decisions. */
  apiUrl?: string
  /** Of the router, which takes content. */
  routerUrl?: string
  retries?: Partial<Retries>
  /** Seconds for a request. */
  timeout?: number
  /** Another `fetch`, for a proxy or certificates. */
  fetch?: typeof fetch
}

export interface Cancellable {
  signal?: AbortSignal
}

export interface FeedOptions extends Filter, Cancellable {
  /** A cursor: `next` of the page before. Without one from the oldest that is kept; `now`: from the end on. */
  after?: string
  /** Decisions of a page at most: 1 to 1000. */
  limit?: number
  /** Seconds to wait where there is nothing: 0 to 30. */
  wait?: number
}

export interface Report {
  /** The same id again is the same report. */
  reportId: string
  /** A pseudonym that stays the same for a user. */
  reporter: string
  reason: string
  note?: string
}

interface Call extends Cancellable {
  service: 'api' | 'router'
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  params?: [string, string][]
  body?: string
  contentType?: string
  /** Seconds that the server may take on purpose. */
  patience?: number
}

/**
 * Talks to Second Look over HTTP.
 *
 * Every method sends again while the service is away or busy, and then throws `Unreachable` or the server's problem as a
 * `ProblemError`. Repeats change nothing: what has arrived is not done twice.
 */
export class Client {
  readonly #urls: { api: string; router: string }
  readonly #authorization: string
  readonly #retries: Retries
  readonly #timeout: number
  readonly #fetch: typeof fetch

  constructor(options: ClientOptions) {
    const key = options.key.trim()
    if (!/^[\x21-\x7e]+$/.test(key)) throw new TypeError('the key is empty, or holds characters that no key has')
    this.#urls = {
      api: address(options.apiUrl ?? 'http://127.0.0.1:8000'),
      router: address(options.routerUrl ?? 'http://127.0.0.1:8001'),
    }
    this.#authorization = `Bearer ${key}`
    this.#retries = { ...RETRIES, ...options.retries }
    this.#timeout = options.timeout ?? 30
    this.#fetch = options.fetch ?? ((...request) => fetch(...request))
  }

  /**
   * Submit one revision. When it returns, the revision is stored and will be decided.
   *
   * @throws Conflict the revision would not be decided: `revision_reused`, `superseded` or `withdrawn`
   * @throws Invalid it breaks the contract; `errors` names the fields
   */
  submit(content: ContentSubmitted, options: Cancellable = {}): Promise<Accepted> {
    const body = JSON.stringify(content)
    return this.#ask({ ...options, service: 'router', method: 'POST', path: '/v1/content', body })
  }

  /**
   * Submit many, in batches; returns what was refused. It reads `contents` as it goes. Where it throws, some are
   * accepted already: submit all of them again.
   */
  async submitMany(
    contents: Iterable<ContentSubmitted> | AsyncIterable<ContentSubmitted>,
    options: Partial<BatchSize> & Cancellable = {},
  ): Promise<Submitted> {
    const batches = new Batches({ lines: options.lines ?? BATCH.lines, size: options.size ?? BATCH.size })
    for await (const content of contents) await this.#send(batches, batches.add(content), options)
    await this.#send(batches, batches.rest(), options)
    return batches.submitted
  }

  /** The content is gone: what was created until now needs no decision any more. */
  withdraw(source: string, contentId: string, options: Cancellable & { reason?: string } = {}): Promise<Withdrawn> {
    const params: [string, string][] = options.reason === undefined ? [] : [['reason', options.reason]]
    const { signal } = options
    return this.#ask({ ...(signal && { signal }), service: 'router', method: 'DELETE', path: of(source, contentId), params })
  }

  /** A user reports content. It may come later than its reports. @throws Conflict the id is known with something else */
  report(source: string, contentId: string, report: Report, options: Cancellable = {}): Promise<AcceptedReport> {
    const { reportId: report_id, reporter, reason, note = null } = report
    const body = JSON.stringify({ report_id, reporter, reason, note })
    return this.#ask({ ...options, service: 'router', method: 'POST', path: `${of(source, contentId)}/reports`, body })
  }

  /** Where each revision stands, and all decisions. @throws NotFound */
  content(source: string, contentId: string, options: Cancellable = {}): Promise<Content> {
    return this.#ask({ ...options, service: 'api', method: 'GET', path: of(source, contentId) })
  }

  /** The decisions behind a cursor, oldest first. */
  async feedPage(options: FeedOptions = {}): Promise<FeedPage> {
    const { after, limit = 500, wait = 0, signal } = options
    const params: [string, string][] = [...cursor(after), ['limit', `${limit}`], ['wait', `${wait}`], ...filters(options)]
    const path = '/v1/decisions/feed'
    const page = await this.#ask<FeedPage>({
      ...(signal && { signal }), service: 'api', method: 'GET', path, params, patience: wait,
    }) // prettier-ignore
    if (!Array.isArray(page.decisions) || typeof page.next !== 'string') {
      throw new UnexpectedAnswer(`${this.#urls.api}${path} answers with something that is no page of the feed`)
    }
    return page
  }

  /**
   * Follow decisions without end, page by page.
   *
   * Deal with a page, then store its `next` and give it as `after` at the next start: nothing is skipped, and what was
   * dealt with before a crash comes once more.
   */
  async *feed(options: FeedOptions = {}): AsyncGenerator<FeedPage, never> {
    let { after } = options
    while (true) {
      const page = await this.feedPage({ wait: 25, ...options, ...(after !== undefined && { after }) })
      if (page.decisions.length > 0 || page.next !== after) yield page
      after = page.next
    }
  }

  /**
   * Follow decisions without end, one by one, as the server sends them; the cursors are those of the feed.
   *
   * It connects again where a connection ends, behind the last decision that it gave.
   */
  async *stream(options: Filter & Cancellable & { after?: string } = {}): AsyncGenerator<Followed, never> {
    let { after } = options
    let failed = 0
    while (true) {
      let pause = this.#retries.first
      try {
        for await (const found of this.#events(after, options)) {
          failed = 0
          if (found) {
            after = found.cursor
            yield found
          }
        }
      } catch (error) {
        pause = this.#wait(++failed, error)
      }
      await sleep(pause, options.signal)
    }
  }

  /** The decisions of one connection, and null for every sign of life. */
  async *#events(after: string | undefined, options: Filter & Cancellable): AsyncGenerator<Followed | null> {
    const silence = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const alive = () => {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), Math.max(SILENCE, this.#timeout) * 1000)
    }
    alive()
    const leave = () => silence.abort()
    options.signal?.addEventListener('abort', leave, { once: true })
    const call: Call = {
      ...(options.signal && { signal: options.signal }), service: 'api', method: 'GET', path: '/v1/decisions/stream',
      params: [...cursor(after), ...filters(options)],
    } // prettier-ignore
    try {
      const answer = await this.#request(call, 'text/event-stream', silence.signal)
      const reader = answer.body?.getReader()
      const events = new Events()
      while (reader) {
        const { done, value } = await this.#reaching(call, () => reader.read())
        if (done) return
        alive()
        yield null
        for (const { id, name, data } of events.feed(value)) {
          if (name === 'decision') yield { cursor: id, decision: this.#parsed<FollowedDecision>(data, call) }
        }
      }
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', leave)
      silence.abort()
    }
  }

  async #send(batches: Batches, batch: readonly Line[], { signal }: Cancellable): Promise<void> {
    if (batch.length === 0) return
    const body = batch.map((line) => line.body).join('\n')
    const call: Call = {
      ...(signal && { signal }), service: 'router', method: 'POST', path: '/v1/content/batch', body,
      contentType: 'application/x-ndjson',
    } // prettier-ignore
    try {
      batches.answered(batch, await this.#ask<AcceptedLines>(call))
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error
      for (const half of batches.tooLarge(batch, error)) await this.#send(batches, half, signal ? { signal } : {})
    }
  }

  async #ask<Answer>(call: Call): Promise<Answer> {
    for (let failed = 1; ; failed++) {
      try {
        const limit = AbortSignal.timeout((this.#timeout + (call.patience ?? 0)) * 1000)
        const answer = await this.#request(call, 'application/json', limit)
        return this.#parsed<Answer>(await this.#reaching(call, () => answer.text()), call)
      } catch (error) {
        await sleep(this.#wait(failed, error), call.signal)
      }
    }
  }

  /** A good answer, its body not read yet. */
  async #request(call: Call, accept: string, limit: AbortSignal): Promise<Response> {
    call.signal?.throwIfAborted()
    const headers: Record<string, string> = { authorization: this.#authorization, accept }
    if (call.body !== undefined) headers['content-type'] = call.contentType ?? 'application/json'
    const query = call.params?.length ? `?${new URLSearchParams(call.params)}` : ''
    const answer = await this.#reaching(call, () =>
      this.#fetch(this.#urls[call.service] + call.path + query, {
        method: call.method,
        headers,
        body: call.body ?? null,
        redirect: 'manual',
        signal: call.signal ? AbortSignal.any([call.signal, limit]) : limit,
      }),
    )
    const error = await this.#reaching(call, () => errorOf(answer, this.#named(call)))
    if (error) throw error
    return answer
  }

  /** Do something with the network; what goes wrong with it is Unreachable, unless the caller left. */
  async #reaching<Result>(call: Call, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act()
    } catch (error) {
      call.signal?.throwIfAborted()
      const { message, cause } = error as { message?: string; cause?: { message?: string } }
      throw new Unreachable(`${this.#named(call)} does not answer: ${cause?.message || message}`, { cause: error })
    }
  }

  #parsed<Answer>(text: string, call: Call): Answer {
    try {
      const found: unknown = JSON.parse(text)
      if (typeof found === 'object' && found !== null && !Array.isArray(found)) return found as Answer
    } catch {
      // told below
    }
    throw new UnexpectedAnswer(`${this.#named(call)} answers with something that is no JSON object: is it Second Look?`)
  }

  #named(call: Call): string {
    return `${call.method} ${this.#urls[call.service]}`
  }

  /** Seconds to wait after so many failures in a row, of which this was the last; throws it if that was all. */
  #wait(failed: number, error: ClientError | unknown): number {
    const passes = error instanceof Unreachable || (error instanceof ProblemError && BUSY.has(error.status))
    const pause = passes ? wait(this.#retries, failed, error instanceof ProblemError ? error.retryAfter : null) : null
    if (pause === null) throw error
    return pause
  }
}

function address(url: string): string {
  if (!/^https?:\/\/[^/]/.test(url)) throw new TypeError(`an address must begin with http:// or https://: ${url}`)
  return url.replace(/\/+$/, '')
}

function of(source: string, contentId: string): string {
  return `/v1/content/${segment(source)}/${segment(contentId)}`
}

function segment(text: string): string {
  if (['', '.', '..'].includes(text)) throw new TypeError(`'${text}' cannot stand in an address`)
  return encodeURIComponent(text)
}

function cursor(after: string | undefined): [string, string][] {
  return after === undefined ? [] : [['after', after]]
}

function filters({ source, label, outcome, decidedBy }: Filter): [string, string][] {
  const named = Object.entries({ source, label, outcome, decided_by: decidedBy })
  return named.flatMap(([name, value]) =>
    (value === undefined ? [] : [value].flat()).map((one): [string, string] => [name, one as string]),
  )
}
