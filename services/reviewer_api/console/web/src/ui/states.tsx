/** What a page shows when it has nothing to show: loading, empty, refused. */
import type { ReactNode } from 'react'

import { NetworkError, Problem } from '../api/client'
import { useShellMessages } from '../app/messages'
import { Button } from './Button'

/** Lines in the place of what is loading. */
export const Skeleton = ({ lines = 4 }: { lines?: number }) => {
  const text = useShellMessages()
  return (
    <div className="skeleton" role="status" aria-label={text.loading}>
      {Array.from({ length: lines }, (_, place) => (
        <span key={place} className={place % 3 === 2 ? 'short' : ''} />
      ))}
    </div>
  )
}

/** Nothing is here: why, and what to do next. */
export const EmptyState = ({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) => (
  <div className="empty">
    <h2>{title}</h2>
    {children ? <div className="muted">{children}</div> : null}
    {action ? <div className="row">{action}</div> : null}
  </div>
)

/** What went wrong in the API's own words, and a way to try again. */
export function ErrorState({ error, onRetry }: { error: unknown; onRetry?: (() => void) | undefined }) {
  const text = useShellMessages()
  return (
    <div className="empty bad" role="alert">
      <h2>{error instanceof Problem ? error.title : text.failed}</h2>
      <p className="muted">{useWords(error)}</p>
      {onRetry ? <Button onPress={onRetry}>{text.retry}</Button> : null}
    </div>
  )
}

/** One sentence about an error, for a toast or beside a form. */
export function useWords(error: unknown): string {
  return wordsOf(error, useShellMessages())
}

export function wordsOf(error: unknown, text: { noAnswer: string }): string {
  if (error instanceof NetworkError) return text.noAnswer
  if (error instanceof Problem) {
    const fields = error.errors.map(({ field, problem }) => (field ? `${field}: ${problem}` : problem))
    return fields.length ? fields.join('; ') : error.message
  }
  return error instanceof Error ? error.message : String(error)
}
