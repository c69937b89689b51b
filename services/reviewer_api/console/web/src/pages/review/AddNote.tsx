import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { post } from '../../api/client'
import type { ReviewTask } from '../../api/types'
import { Button, Dialog, Field, toast, useWords } from '../../ui'
import { useReviewMessages } from './messages'

/** A note about the content, for whoever reviews it later. */
export function AddNote({ content: { source, content_id } }: { content: ReviewTask['content'] }) {
  const text = useReviewMessages()
  const [open, setOpen] = useState(false)
  const [note, setNote] = useState('')
  const adding = useMutation({
    mutationFn: () => post('/v1/notes', { source, content_id, text: note.trim() }),
    onSuccess: () => {
      toast({ text: text.noteAdded, kind: 'good' })
      setOpen(false)
      setNote('')
    },
  })
  const words = useWords(adding.error)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (note.trim() && !adding.isPending) adding.mutate()
  }
  return (
    <>
      <Button kind="quiet" onPress={() => setOpen(true)}>
        {text.addNote}
      </Button>
      {open ? (
        <Dialog title={text.addNote} onClose={() => setOpen(false)}>
          <form className="stack" onSubmit={submit}>
            <Field
              label={text.note}
              hint={text.addNoteHint}
              value={note}
              onChange={setNote}
              rows={3}
              maxLength={2000}
              error={adding.error ? words : null}
              autoFocus
            />
            <div className="dialog-foot">
              <Button onPress={() => setOpen(false)}>{text.cancel}</Button>
              <Button kind="primary" type="submit" isPending={adding.isPending}>
                {text.add}
              </Button>
            </div>
          </form>
        </Dialog>
      ) : null}
    </>
  )
}
