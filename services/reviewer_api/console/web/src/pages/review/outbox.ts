/** What the person did and the server has not confirmed: kept in memory, sent in order, sent again after silence. */
import { NetworkError, Problem } from '../../api/client'

export interface Sending {
  id: string
  /** Sends it; called again until the server answers. The call must be one that a repeat does not change. */
  send: () => Promise<unknown>
  /** The server took it. */
  done: (answer: unknown) => void
  /** The server refused it for good. */
  refused: (problem: Problem) => void
}

const FIRST_WAIT = 500
const LONGEST_WAIT = 10_000

/** Sends one at a time. After a 401 it waits for `resume`, after silence or an overloaded server for a while. */
export class Outbox {
  private waiting: Sending[] = []
  private inFlight = false
  private timer: ReturnType<typeof setTimeout> | undefined
  private wait = FIRST_WAIT

  constructor(private readonly changed: () => void) {}

  get size(): number {
    return this.waiting.length
  }

  /** Whether the last try had no answer. */
  troubled = false

  add(sending: Sending): void {
    this.waiting.push(sending)
    this.changed()
    if (!this.timer) void this.flush()
  }

  /** Takes back what was never tried; false where it may have reached the server. */
  take(id: string): boolean {
    const place = this.waiting.findIndex((each) => each.id === id)
    if (place < 0 || (place === 0 && (this.inFlight || this.troubled))) return false
    this.waiting.splice(place, 1)
    this.changed()
    return true
  }

  /** Try at once: the network or the session is back. */
  resume(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    void this.flush()
  }

  /** Forget everything: somebody else has logged in. */
  clear(): void {
    this.waiting = []
    this.changed()
  }

  private async flush(): Promise<void> {
    while (!this.inFlight && this.waiting[0]) {
      const next = this.waiting[0]
      this.inFlight = true
      const [answer, error] = await next.send().then((answer) => [answer, null] as const, (error: unknown) => [null, error] as const)
      this.inFlight = false
      if (error && mayCome(error)) {
        this.troubled = error instanceof NetworkError
        this.again(error)
        return
      }
      this.troubled = false
      this.wait = FIRST_WAIT
      if (this.waiting[0] === next) this.waiting.shift()
      if (error) next.refused(error as Problem)
      else next.done(answer)
      this.changed()
    }
  }

  private again(error: unknown): void {
    this.changed()
    if (error instanceof Problem && error.status === 401) return // `resume` comes with the login
    const asked = error instanceof Problem && error.retryAfter ? error.retryAfter * 1000 : 0
    this.timer = setTimeout(() => this.resume(), Math.max(asked, this.wait))
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT)
  }
}

/** Whether the same call may still succeed. */
const mayCome = (error: unknown): boolean =>
  !(error instanceof Problem) || error.status === 401 || error.status === 408 || error.status === 429 || error.status >= 500
