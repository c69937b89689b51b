// Content in batches: how it is cut, and what of it was refused.

import type { TooLarge } from './errors.js'
import type { AcceptedLines, ContentSubmitted, ProblemField } from './types.js'

/** Content that was not accepted, and why. `errors` is empty where the server only counts. */
export interface Refused {
  content: ContentSubmitted
  code: string
  errors: readonly ProblemField[]
}

/** How a submission went. Correct what was refused and send it again; repeats of the rest change nothing. */
export interface Submitted {
  accepted: number
  refused: Refused[]
}

export interface BatchSize {
  /** Lines of a batch at most; the server takes 10,000. */
  lines: number
  /** Characters of a batch at most, where one piece alone is not larger; the server takes 8 MiB. */
  size: number
}

export const BATCH: Readonly<BatchSize> = { lines: 1000, size: 2 * 1024 * 1024 }

export interface Line {
  content: ContentSubmitted
  body: string
}

/** Cuts content into batches, one after the other. */
export class Batches {
  readonly submitted: Submitted = { accepted: 0, refused: [] }
  readonly #limits: BatchSize
  #waiting: Line[] = []
  #size = 0

  constructor(limits: BatchSize) {
    if (!(limits.lines >= 1)) throw new RangeError('a batch has at least one line')
    this.#limits = limits
  }

  /** Add one; returns the batch that is full now, empty where none is. */
  add(content: ContentSubmitted): Line[] {
    const body = written(content)
    if (body === undefined) {
      const errors = [{ field: '', problem: 'the content cannot be written as JSON' }]
      this.submitted.refused.push({ content, code: 'malformed', errors })
      return []
    }
    const { lines, size } = this.#limits
    const full = this.#waiting.length >= lines || (this.#waiting.length > 0 && this.#size + body.length > size)
    const batch = full ? this.rest() : []
    this.#waiting.push({ content, body })
    this.#size += body.length + 1
    return batch
  }

  /** The last batch. */
  rest(): Line[] {
    const rest = this.#waiting
    this.#waiting = []
    this.#size = 0
    return rest
  }

  /** Note how a batch went. */
  answered(batch: readonly Line[], answer: AcceptedLines): void {
    this.submitted.accepted += answer.accepted
    const explained = new Map(answer.refused.map((line) => [line.line, line.errors]))
    for (const [number, code] of refusedLines(answer)) {
      const line = batch[number - 1]
      if (line) this.submitted.refused.push({ content: line.content, code, errors: explained.get(number) ?? [] })
    }
  }

  /** The halves to send instead; what is too large alone is refused. */
  tooLarge(batch: readonly Line[], error: TooLarge): Line[][] {
    if (batch.length > 1) {
      const half = Math.floor(batch.length / 2)
      return [batch.slice(0, half), batch.slice(half)]
    }
    for (const { content } of batch) this.submitted.refused.push({ content, code: error.code, errors: error.errors })
    return []
  }
}

function written(content: ContentSubmitted): string | undefined {
  try {
    return JSON.stringify(content)
  } catch {
    return undefined
  }
}

function refusedLines(answer: AcceptedLines): [number, string][] {
  const found: [number, string][] = []
  for (const [code, runs] of Object.entries(answer.refused_lines)) {
    for (const run of runs.split(',')) {
      const [first, last = first] = run.split('-').map(Number)
      for (let line = first ?? 1; line <= (last ?? 0); line++) found.push([line, code])
    }
  }
  return found.sort(([one], [other]) => one - other)
}
