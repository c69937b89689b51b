import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { post } from '../../api/client'
import { policyQuery } from '../../api/queries'
import type { Decision, Outcome, Reversal } from '../../api/types'
import { Button, Check, Choice, Dialog, Field, toast, useWords } from '../../ui'
import { SavedTexts } from '../SavedTexts'
import { useWordsOfPages } from '../words'
import { useContentMessages } from './messages'

/** Supersedes a published decision, with a reason. */
export function Reverse({ decision, onClose }: { decision: Decision; onClose: () => void }) {
  const text = useContentMessages()
  const words = useWordsOfPages()
  const cache = useQueryClient()
  const policy = useQuery(policyQuery)
  const [outcome, setOutcome] = useState<Outcome>(decision.outcome === 'approve' ? 'reject' : 'approve')
  const [labels, setLabels] = useState<readonly string[]>([])
  const [reason, setReason] = useState('')
  const [error, setError] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const told = useWords(error)
  const toggle = (label: string, on: boolean) => setLabels(on ? [...labels, label] : labels.filter((each) => each !== label))
  const send = async () => {
    setBusy(true)
    try {
      const said = { outcome, labels: outcome === 'reject' ? labels : [], reason }
      await post<Reversal>(`/v1/decisions/${decision.decision_id}/reverse`, said)
      toast({ text: text.reversed, kind: 'good' })
      onClose()
      // The decision comes back with the log, a moment later.
      setTimeout(() => void cache.invalidateQueries({ queryKey: ['content'] }), 800)
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const complete = reason.trim() && (outcome === 'approve' || labels.length)
  return (
    <Dialog
      title={text.reverse}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{words.cancel}</Button>
          <Button kind="danger" onPress={() => void send()} isDisabled={!complete} isPending={busy}>{text.reverse}</Button>
        </>
      }
    >
      <p className="muted">{text.reverseHint}</p>
      {error ? <p className="notice bad" role="alert">{told}</p> : null}
      <Choice<Outcome>
        label={words.outcome}
        value={outcome}
        onChange={setOutcome}
        options={[['approve', text.approveIt], ['reject', text.rejectIt]]}
      />
      {outcome === 'reject' ? (
        <fieldset className="stack">
          <legend>{text.pickLabels}</legend>
          {Object.keys(policy.data?.policy.labels ?? {}).map((label) => (
            <Check key={label} label={label} value={labels.includes(label)} onChange={(on) => toggle(label, on)} />
          ))}
        </fieldset>
      ) : null}
      <Field label={text.why} value={reason} onChange={setReason} rows={3} maxLength={2000} isRequired />
      <SavedTexts value={reason} onUse={setReason} />
    </Dialog>
  )
}
