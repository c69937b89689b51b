/** The items in hand and what became of them: the Review page without its looks. */
import { call, get, NetworkError, post, Problem, serverNow } from '../../api/client'
import type { Claims, DecisionState, Lease, PolicyLabel, ReviewTask } from '../../api/types'
import { Outbox } from './outbox'
import type { Done, Notice, Verdict, View } from './view'

const HAND = 5
const REFILL_BELOW = 4
const POLL = 4_000
const TICK = 15_000
const RENEW_BELOW = 180_000
const IDLE_AFTER = 600_000

export class Desk {
  private tasks: ReviewTask[] = []
  private labels: PolicyLabel[] = []
  private finished: Done[] = []
  private gone = new Set<string>()
  private judged = 0
  private state: View['state'] = 'starting'
  private problem: Problem | null = null
  private filling = false
  private closed = false
  private used = Date.now()
  private timers: ReturnType<typeof setTimeout>[] = []
  private listeners = new Set<() => void>()
  private notices = new Set<(notice: Notice) => void>()
  private readonly outbox = new Outbox(() => this.changed())
  view: View = this.look()

  constructor(private readonly queue: string | null) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    this.notices.add(listener)
    return () => this.notices.delete(listener)
  }

  /** Takes up what is held already, then claims. Call `close` at the end. */
  open(): void {
    this.closed = false
    void this.resume()
    const tick = setInterval(() => void this.renew(), TICK)
    const poll = setInterval(() => void this.fill(), POLL)
    this.timers = [tick, poll]
  }

  close(): void {
    this.closed = true
    this.timers.forEach(clearInterval)
    this.leave()
  }

  /** Lets the leases go soon, unless a heartbeat comes first: the page closes. Nothing that is unsent is let go. */
  leave(): void {
    const leases = this.tasks.map(({ task_id, lease_token }) => ({ task_id, lease_token }))
    if (leases.length) void call('POST', '/v1/review/leave', { leases }, { keepalive: true, quiet: true }).catch(() => undefined)
  }

  /** The page is back from where a browser keeps pages that were left. */
  returned(): void {
    this.touch()
    void this.renew(true)
  }

  /** The person is here: leases go on being renewed. */
  touch = (): void => {
    const away = this.isAway
    this.used = Date.now()
    if (away) void this.renew(true)
  }

  private get isAway(): boolean {
    return this.used + IDLE_AFTER < Date.now()
  }

  /** Somebody has logged in, or the network is back. */
  retry = (): void => {
    this.outbox.resume()
    if (this.state === 'failed' || this.state === 'starting') void this.resume()
    else void this.fill()
  }

  /** Another person uses the page now: nothing of the one before may be sent for them. */
  reset(): void {
    this.outbox.clear()
    this.tasks = []
    this.finished = []
    this.state = 'starting'
    this.changed()
    void this.resume()
  }

  decide(verdict: Verdict): void {
    const task = this.tasks[0]
    if (!task) return
    const done: Done = { task, verdict, decisionId: null, undoUntil: null }
    this.finished = [done, ...this.finished].slice(0, 20)
    this.judged += 1
    const body = {
      lease_token: task.lease_token, outcome: verdict.outcome, labels: verdict.labels, note: verdict.note.trim() || null,
    }
    this.send(task, 'decision', body, (answer) => {
      const { decision_id, undo_until } = answer as DecisionState
      Object.assign(done, { decisionId: decision_id, undoUntil: Date.parse(undo_until) })
      if (done.isUndone) void this.takeBack(done)
    })
  }

  /** These were judged together with others, in one call. */
  judgedTogether(ids: readonly string[]): void {
    this.tasks = this.tasks.filter(({ task_id }) => !ids.includes(task_id))
    ids.forEach((id) => this.gone.add(id))
    this.judged += ids.length
    this.changed()
    void this.fill()
  }

  /** The one undo of them went through: they are open again. */
  reopened(ids: readonly string[]): void {
    ids.forEach((id) => this.gone.delete(id))
    this.judged -= ids.length
    this.changed()
    void this.fill()
  }

  skip = (): void => this.put('skip')
  escalate = (note: string): void => this.put('escalate', { note: note.trim() || null })
  release = (): void => this.put('release')

  /** Takes back the newest verdict and shows its item again. */
  async undo(): Promise<void> {
    const done = this.view.last
    if (!done) return
    const { task } = done
    if (this.outbox.take(task.task_id)) {
      this.forget(done)
      this.judged -= 1
      this.gone.delete(task.task_id)
      this.tasks.unshift(task)
      this.changed()
      return
    }
    this.forget(done)
    this.judged -= 1
    done.isUndone = true
    this.changed()
    if (done.decisionId) await this.takeBack(done)
  }

  private async takeBack(done: Done): Promise<void> {
    const { task } = done
    try {
      await post(`/v1/decisions/${done.decisionId}/undo`)
      this.gone.delete(task.task_id)
      this.say({ kind: 'undone' })
      await this.claim({ task_ids: [task.task_id], limit: 1 }, true)
    } catch (error) {
      if (error instanceof NetworkError || (error instanceof Problem && error.status === 401)) {
        this.finished = [done, ...this.finished]
        this.judged += 1
        done.isUndone = false
        this.changed()
      } else if (error instanceof Problem && error.status === 409) this.say({ kind: 'tooLate', problem: error })
    }
  }

  private put(what: string, more: object = {}): void {
    const task = this.tasks[0]
    if (task) this.send(task, what, { lease_token: task.lease_token, ...more }, () => undefined)
  }

  private send(task: ReviewTask, what: string, body: object, done: (answer: unknown) => void): void {
    this.tasks = this.tasks.filter((each) => each !== task)
    this.gone.add(task.task_id)
    this.outbox.add({
      id: task.task_id,
      send: () => post(`/v1/review/tasks/${task.task_id}/${what}`, body),
      done,
      refused: (problem) => this.refused(task, problem),
    })
    void this.fill()
  }

  private refused(task: ReviewTask, problem: Problem): void {
    const lost = this.finished.find((done) => done.task === task)
    if (lost && !lost.isUndone) {
      this.forget(lost)
      this.judged -= 1
    }
    if (problem.status === 409 || problem.status === 404) {
      this.say({ kind: 'lost', code: problem.code ?? '' })
      return
    }
    this.gone.delete(task.task_id)
    this.tasks.unshift(task)
    this.say({ kind: 'refused', problem })
  }

  private async resume(): Promise<void> {
    await this.ask(async () => {
      const held = await get<Claims>('/v1/review/leases')
      this.take({ ...held, tasks: held.tasks.filter(({ queue }) => !this.queue || queue === this.queue) })
    })
    // The page before this one may have let them go when it closed.
    await this.renew(true)
    if (this.state !== 'failed') await this.fill()
  }

  /** Claims up to a handful, unless the person is away: others may have what waits then. */
  private async fill(): Promise<void> {
    const room = HAND - this.tasks.length
    if (this.filling || this.closed || this.isAway || this.tasks.length >= REFILL_BELOW) return
    this.filling = true
    await this.ask(() => this.claim({ limit: room, ...(this.queue ? { queue: this.queue } : {}) }))
    this.filling = false
  }

  private async claim(wanted: object, first = false): Promise<void> {
    this.take(await post<Claims>('/v1/review/claims', wanted), first)
  }

  private take(claims: Claims, first = false): void {
    const held = new Set(this.tasks.map(({ task_id }) => task_id))
    const fresh = claims.tasks.filter(({ task_id }) => !held.has(task_id) && !this.gone.has(task_id))
    this.tasks = first ? [...fresh, ...this.tasks] : [...this.tasks, ...fresh]
    this.labels = claims.labels
    if (this.closed) this.leave()
  }

  private async ask(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.problem = null
      this.state = this.tasks.length ? 'working' : 'empty'
    } catch (error) {
      if (error instanceof Problem && error.status !== 401) {
        this.problem = error
        this.state = this.tasks.length ? 'working' : 'failed'
      }
    }
    this.changed()
  }

  private async renew(all = false): Promise<void> {
    if (document.hidden || this.isAway) return
    const soon = serverNow() + RENEW_BELOW
    const due = this.tasks.filter(({ lease_expires_at }) => all || Date.parse(lease_expires_at) < soon)
    for (const task of due) {
      try {
        const lease = await post<Lease>(`/v1/review/tasks/${task.task_id}/heartbeat`, { lease_token: task.lease_token })
        task.lease_expires_at = lease.lease_expires_at
      } catch (error) {
        if (error instanceof Problem && (error.status === 404 || error.status === 409)) this.lose(task, error.code ?? '')
      }
    }
    if (this.tasks.length < REFILL_BELOW) void this.fill()
  }

  /** The item with this id is no longer held: the server said so by itself. */
  wasClosed(taskId: string, why: string): void {
    const task = this.tasks.find(({ task_id }) => task_id === taskId)
    if (task) this.lose(task, why)
  }

  /** Something waits in a queue: fetch it without waiting for the next poll. */
  stirred = (): void => {
    if (this.tasks.length < REFILL_BELOW && this.state !== 'starting') void this.fill()
  }

  /** The item is somebody else's, or gone. `why`: a problem's code. */
  private lose(task: ReviewTask, why: string): void {
    if (!this.tasks.includes(task)) return
    const shown = this.tasks[0] === task
    this.tasks = this.tasks.filter((each) => each !== task)
    if (shown) this.say({ kind: 'lost', code: why })
    this.changed()
    void this.fill()
  }

  private forget(done: Done): void {
    this.finished = this.finished.filter((each) => each !== done)
  }

  private say(notice: Notice): void {
    this.notices.forEach((listener) => listener(notice))
    this.changed()
  }

  /** Let go of verdicts whose time for an undo is over. */
  expire = (): void => {
    const now = serverNow()
    const left = this.finished.filter(({ undoUntil }) => undoUntil === null || undoUntil > now)
    if (left.length === this.finished.length) return
    this.finished = left
    this.changed()
  }

  private changed(): void {
    this.view = this.look()
    this.listeners.forEach((listener) => listener())
  }

  private look(): View {
    const [current = null, ...next] = this.tasks
    const state = current ? 'working' : this.state === 'working' ? 'starting' : this.state
    return {
      current, next, labels: this.labels, judged: this.judged, last: this.finished[0] ?? null,
      unsent: this.outbox.size, offline: this.outbox.troubled, state, problem: this.problem,
    }
  }
}
