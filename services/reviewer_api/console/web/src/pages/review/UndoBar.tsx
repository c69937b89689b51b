import { number } from '../../i18n'
import { Button } from '../../ui'
import { useCountdown } from '../countdown'
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
