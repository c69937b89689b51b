import { useState } from 'react'

import { post } from '../../api/client'
import { NoAnswer, operate } from '../../api/operations'
import type { Operation, PolicyCheck } from '../../api/types'
import { useSession } from '../../app/session'
import { Button, Card, Dialog, Field, useWords } from '../../ui'
import { useWordsOfPages } from '../words'
import { usePolicyMessages } from './messages'
import { Simulation } from './Simulation'
import { difference, documentOf, type Line } from './document'

interface Props {
  /** The document in force; empty without one. */
  before: string
  publish: (document: string, done: string) => Promise<void>
}

/** The document, checked by the service before it can be published. */
export function Editor({ before, publish }: Props) {
  const text = usePolicyMessages()
  const words = useWordsOfPages()
  const { may } = useSession()
  const [document, setDocument] = useState(before)
  const [error, setError] = useState<unknown>(null)
  const [changes, setChanges] = useState<Line[] | null>(null)
  const [simulation, setSimulation] = useState<Operation | null>(null)
  const [confirming, confirm] = useState(false)
  const [busy, setBusy] = useState(false)
  const told = useWords(error)
  const said = error instanceof NoAnswer ? text.noAnswer : told
  const edit = (value: string) => {
    setDocument(value)
    setChanges(null)
    setSimulation(null)
    setError(null)
  }
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true)
    try {
      await work()
      setError(null)
    } catch (problem) {
      setError(problem)
      setChanges(null)
    }
    confirm(false)
    setBusy(false)
  }
  const check = () =>
    attempt(async () => {
      const { policy } = await post<PolicyCheck>('/v1/policies/check', { document })
      setChanges(difference(before, documentOf(policy)))
    })
  const simulate = () => attempt(async () => setSimulation(await operate('/v1/policies/simulate', { document })))
  const isNew = changes?.some((line) => line.is !== 'same') ?? false
  const editable = may('policy:publish')
  return (
    <Card
      title={text.document}
      actions={
        editable ? (
          <>
            {document === before ? null : <Button kind="quiet" onPress={() => edit(before)}>{text.reset}</Button>}
            <Button onPress={() => void check()} isPending={busy}>{text.check}</Button>
            <Button onPress={() => void simulate()} isPending={busy}>{text.simulate}</Button>
            <Button kind="primary" onPress={() => confirm(true)} isDisabled={!isNew}>{text.publish}</Button>
          </>
        ) : null
      }
    >
      {error ? <p className="notice bad" role="alert">{said}</p> : null}
      {simulation ? <Simulation of={simulation} /> : null}
      {changes ? (
        <div role="status" className="stack">
          <p className="notice info">{isNew ? text.fine : text.same}</p>
          {isNew ? <Changes lines={changes} /> : null}
        </div>
      ) : null}
      {editable ? (
        <div className="editor" dir="ltr">
          <Field label={text.document} value={document} onChange={edit} rows={24} />
        </div>
      ) : (
        <pre className="document" dir="ltr" tabIndex={0}>{document}</pre>
      )}
      {confirming ? (
        <Dialog
          title={text.confirm}
          wide
          onClose={() => confirm(false)}
          footer={
            <>
              <Button onPress={() => confirm(false)}>{words.cancel}</Button>
              <Button kind="primary" isPending={busy} onPress={() => void attempt(() => publish(document, text.published))}>
                {text.publish}
              </Button>
            </>
          }
        >
          <p className="muted">{text.confirmHint}</p>
          <Changes lines={changes ?? []} />
        </Dialog>
      ) : null}
    </Card>
  )
}

const AROUND = 2
const SIGNS = { same: ' ', new: '+', gone: '−' } as const

/** The changed lines, each with a few of those around it. */
function Changes({ lines }: { lines: readonly Line[] }) {
  const text = usePolicyMessages()
  const near = (place: number) =>
    lines.slice(Math.max(0, place - AROUND), place + AROUND + 1).some((line) => line.is !== 'same')
  return (
    <pre className="document" dir="ltr" tabIndex={0} aria-label={text.changes}>
      {lines.map((line, place) =>
        near(place) ? (
          <span key={place} className={`line ${line.is}`}>
            {`${SIGNS[line.is]} ${line.text}\n`}
          </span>
        ) : null,
      )}
    </pre>
  )
}
