/** What the Review page shows, and what it does. */
import type { Problem } from '../../api/client'
import type { Outcome, PolicyLabel, ReviewTask } from '../../api/types'

export interface Verdict {
  outcome: Outcome
  labels: string[]
  note: string
}

/** A verdict that may still be undone. */
export interface Done {
  task: ReviewTask
  verdict: Verdict
  /** Both null until the server has confirmed the verdict. */
  decisionId: string | null
  undoUntil: number | null
  /** Undone before the server confirmed it: the undo follows then. */
  isUndone?: boolean
}

export type Notice =
  | { kind: 'lost'; code: string }
  | { kind: 'refused'; problem: Problem }
  | { kind: 'undone' }
  | { kind: 'tooLate'; problem: Problem }

export interface View {
  current: ReviewTask | null
  next: readonly ReviewTask[]
  labels: readonly PolicyLabel[]
  /** How many items were judged since the page opened. */
  judged: number
  last: Done | null
  unsent: number
  offline: boolean
  /** starting: nothing is known yet; empty: nothing waits; failed: `problem` says why no items come. */
  state: 'starting' | 'working' | 'empty' | 'failed'
  problem: Problem | null
}
