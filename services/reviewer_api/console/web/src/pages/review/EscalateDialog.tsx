import { useState, type FormEvent } from 'react'

import { Button, Dialog, Field } from '../../ui'
import { useReviewMessages } from './messages'

/** Asks why an item goes to the leads. */
export function EscalateDialog({ onClose, onEscalate }: { onClose: () => void; onEscalate: (why: string) => void }) {
  const text = useReviewMessages()
  const [why, setWhy] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onEscalate(why)
  }
  return (
    <Dialog title={text.escalateTitle} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <Field label={text.escalateWhy} hint={text.escalateHint} value={why} onChange={setWhy} maxLength={2000} autoFocus />
        <div className="dialog-foot">
          <Button onPress={onClose}>{text.cancel}</Button>
          <Button kind="primary" type="submit">{text.escalate}</Button>
        </div>
      </form>
    </Dialog>
  )
}
