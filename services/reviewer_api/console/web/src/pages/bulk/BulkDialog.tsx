import { useState } from 'react'

import { NetworkError, post } from '../../api/client'
import type { BulkState, Outcome, PolicyLabel } from '../../api/types'
import { number, percent } from '../../i18n'
import { Button, Check, Choice, Dialog, Field, HostileText, useWords } from '../../ui'
import { useWordsOfPages } from '../words'
import { useBulkMessages } from './messages'

/** An item of the preview. `similarity` to the item that the others are near to. */
export interface Previewed {
  task_id: string
  excerpt: string
  author_id: string | null
  similarity?: number
}

/** What was judged together, for as long as it can be undone. */
export interface Together {
  state: BulkState
  outcome: Outcome
  labels: readonly string[]
  ids: readonly string[]
}

interface Props {
  title: string
  hint: string
  items: readonly Previewed[]
  labels: readonly Pick<PolicyLabel, 'name'>[]
  /** The texts show only when they are asked for. */
  covered: boolean
  onClose: () => void
  onJudged: (together: Together) => void
}

/** Shows every item that one verdict would judge; each can be left out. */
export function BulkDialog({ title, hint, items, labels, covered, onClose, onJudged }: Props) {
  const text = useBulkMessages()
  const words = useWordsOfPages()
  const [leftOut, leaveOut] = useState<ReadonlySet<string>>(new Set())
  const [outcome, setOutcome] = useState<Outcome>('reject')
  const [chosen, choose] = useState<readonly string[]>([])
  const [note, setNote] = useState('')
  const [shown, show] = useState(!covered)
  // The same id until an answer comes: a call whose answer was lost is made again and changes nothing.
  const [id, setId] = useState(newId)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const told = useWords(error)
  const ids = items.map(({ task_id }) => task_id).filter((each) => !leftOut.has(each))
  const put = (each: string, on: boolean) => {
    const now = new Set(leftOut)
    if (on) now.delete(each)
    else now.add(each)
    leaveOut(now)
  }
  const toggle = (label: string, on: boolean) => choose(on ? [...chosen, label] : chosen.filter((each) => each !== label))
  const judge = async () => {
    setBusy(true)
    try {
      const given = outcome === 'reject' ? chosen : []
      const body = { bulk_id: id, task_ids: ids, outcome, labels: given, note: note.trim() || null }
      onJudged({ state: await post<BulkState>('/v1/review/bulks', body), outcome, labels: given, ids })
    } catch (problem) {
      if (!(problem instanceof NetworkError)) setId(newId())
      setError(problem)
      setBusy(false)
    }
  }
  const complete = ids.length > 0 && (outcome === 'approve' || chosen.length > 0) && shown
  return (
    <Dialog
      title={title}
      wide
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{words.cancel}</Button>
          <Button kind={outcome} onPress={() => void judge()} isDisabled={!complete} isPending={busy}>
            {outcome === 'approve' ? text.approve(ids.length) : text.reject(ids.length)}
          </Button>
        </>
      }
    >
      <p className="muted">{hint}</p>
      {error ? <p className="notice bad" role="alert">{told}</p> : null}
      {shown ? (
        <ul className="bulk" aria-label={text.items} tabIndex={0}>
          {items.map((item) => (
            <li key={item.task_id}>
              <label className="check">
                <input
                  type="checkbox"
                  checked={!leftOut.has(item.task_id)}
                  onChange={(event) => put(item.task_id, event.target.checked)}
                />
                <span><HostileText>{item.excerpt}</HostileText></span>
              </label>
              <span className="muted about">
                {item.author_id ? <HostileText>{item.author_id}</HostileText> : null}{' '}
                {item.similarity === undefined ? null : percent(item.similarity)}
              </span>
            </li>
          ))}
        </ul>
      ) : (
        <Button onPress={() => show(true)}>{text.showTexts(number(items.length))}</Button>
      )}
      <Choice<Outcome>
        label={words.outcome}
        value={outcome}
        onChange={setOutcome}
        options={[['reject', text.rejectAll], ['approve', text.approveAll]]}
      />
      {outcome === 'reject' ? (
        <fieldset className="labels">
          <legend>{text.pickLabels}</legend>
          {labels.map(({ name }) => (
            <Check key={name} label={name} value={chosen.includes(name)} onChange={(on) => toggle(name, on)} />
          ))}
        </fieldset>
      ) : null}
      <Field label={text.note} value={note} onChange={setNote} maxLength={2000} />
    </Dialog>
  )
}

const newId = () => crypto.randomUUID()
