// The types of the contract, by the names that this package uses. `npm run types` writes schema.ts.

import type { components } from './schema.js'

type Schemas = components['schemas']

/** One revision of one piece of content, to be decided exactly once. */
export type ContentSubmitted = Schemas['ContentSubmitted']
export type Accepted = Schemas['Accepted']
export type AcceptedLines = Schemas['AcceptedLines']
export type AcceptedReport = Schemas['AcceptedReport']
export type Withdrawn = Schemas['Withdrawn']
/** A decision as it was published. Of one piece of content the highest `sequence` counts. */
export type Decision = Schemas['Decision']
/** A decision, with the ids of the users' reports that it answers. */
export type FollowedDecision = Schemas['FollowedDecision']
/** One piece of content: where each revision stands, and all decisions. */
export type Content = Schemas['Content']
/** RFC 9457 problem details. */
export type Problem = Schemas['Problem']
export type ProblemField = Schemas['ProblemField']

/** Decisions, oldest first. Keep `next` once they are dealt with: `after` for what follows, also after a restart. */
export type FeedPage = Schemas['FeedPage']

/** A decision of the stream. Keep `cursor` once it is dealt with: `after` for what follows. */
export interface Followed {
  cursor: string
  decision: FollowedDecision
}

/** Which decisions to follow; what is left out means all. A cursor is good for the filter that it came with. */
export interface Filter {
  source?: string | readonly string[]
  label?: string | readonly string[]
  outcome?: 'approve' | 'reject'
  decidedBy?: string
}
