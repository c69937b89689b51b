import { useCallback, useState } from 'react'

import { post } from '../../api/client'
import type { UndoneBulk } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { number } from '../../i18n'
import { Button, toast, wordsOf } from '../../ui'
import { useCountdown } from '../countdown'
import type { Together } from './BulkDialog'
import { useBulkMessages } from './messages'

interface Props {
  together: Together
  /** It can be undone no longer, or is undone: the items are open again then. */
  onEnd: (isUndone: boolean) => void
}

/** What was judged together, with its one undo. */
export function BulkBar({ together: { state, outcome, labels }, onEnd }: Props) {
  const text = useBulkMessages()
  const shell = useShellMessages()
  const [busy, setBusy] = useState(false)
  const over = useCallback(() => onEnd(false), [onEnd])
  const left = useCountdown(state.undo_until ? Date.parse(state.undo_until) : null, over)
  const undo = async () => {
    setBusy(true)
    try {
      const { undone } = await post<UndoneBulk>(`/v1/review/bulks/${state.bulk_id}/undo`)
      toast({ text: text.undone(undone), kind: 'good' })
      onEnd(true)
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
      setBusy(false)
    }
  }
  return (
    <div className="undo" role="group" aria-label={text.undo}>
      <span role="status">
        {outcome === 'approve' ? text.approved(state.judged) : text.rejected(state.judged, labels.join(', '))}
        {state.left.length ? ` ${text.left(state.left.length)}` : null}
      </span>
      {left === null ? null : <span className="muted seconds" aria-hidden="true">{text.seconds(number(left))}</span>}
      {state.judged ? (
        <Button onPress={() => void undo()} isPending={busy}>{text.undo}</Button>
      ) : (
        <Button onPress={() => onEnd(false)}>{text.close}</Button>
      )}
    </div>
  )
}
