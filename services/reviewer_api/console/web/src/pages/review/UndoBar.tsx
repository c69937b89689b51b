import { useEffect, useState } from 'react'

import { serverNow } from '../../api/client'
import { number } from '../../i18n'
import { Button } from '../../ui'
import type { Desk } from './desk'
import { useReviewMessages } from './messages'
import type { View } from './view'

/** The newest verdict, for as long as it can be undone, with the seconds that are left. */
export function UndoBar({ desk, view }: { desk: Desk; view: View }) {
  const text = useReviewMessages()
  const done = view.last
  const left = useCountdown(done?.undoUntil ?? null, desk.expire)
  if (!done) return null
  const { outcome, labels } = done.verdict
  return (
    <div className="undo" role="group" aria-label={text.undo}>
      <span role="status">{outcome === 'approve' ? text.approved : text.rejected(labels.join(', '))}</span>
      <span className="muted seconds" aria-hidden="true">
        {left === null ? text.sending : text.seconds(number(left))}
      </span>
      <Button onPress={() => void desk.undo()} shortcut="u">
        {text.undo}
      </Button>
    </div>
  )
}

/** Whole seconds until `until`, by the server's clock; null where it is not known. Calls `over` at the end. */
function useCountdown(until: number | null, over: () => void): number | null {
  const [left, setLeft] = useState<number | null>(null)
  useEffect(() => {
    const look = () => {
      const seconds = until === null ? null : Math.max(0, Math.ceil((until - serverNow()) / 1000))
      setLeft(seconds)
      if (seconds === 0) over()
    }
    look()
    const timer = setInterval(look, 250)
    return () => clearInterval(timer)
  }, [until, over])
  return left
}
