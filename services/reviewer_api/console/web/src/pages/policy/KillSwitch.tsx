import { useState } from 'react'

import type { PolicyDocument } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { Button, Dialog, Field, toast, wordsOf } from '../../ui'
import { useWordsOfPages } from '../words'
import { usePolicyMessages } from './messages'
import { documentOf } from './document'

interface Props {
  policy: PolicyDocument
  publish: (document: string, done: string) => Promise<void>
}

/** Stops all automatic decisions, or allows them again. */
export function KillSwitch({ policy: { policy }, publish }: Props) {
  const text = usePolicyMessages()
  const words = useWordsOfPages()
  const shell = useShellMessages()
  const [asking, ask] = useState(false)
  const [typed, type] = useState('')
  const [busy, setBusy] = useState(false)
  const turn = async (on: boolean) => {
    setBusy(true)
    try {
      await publish(documentOf({ ...policy, kill_switch: on }), on ? text.stopped : text.allowed)
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
    setBusy(false)
    ask(false)
  }
  if (policy.kill_switch) return <Button kind="primary" isPending={busy} onPress={() => void turn(false)}>{text.start}</Button>
  return (
    <>
      <Button kind="danger" onPress={() => ask(true)}>{text.stop}</Button>
      {asking ? (
        <Dialog
          title={text.stop}
          onClose={() => ask(false)}
          footer={
            <>
              <Button onPress={() => ask(false)}>{words.cancel}</Button>
              <Button kind="danger" isPending={busy} isDisabled={typed.trim().toLowerCase() !== text.word} onPress={() => void turn(true)}>
                {text.stop}
              </Button>
            </>
          }
        >
          <p>{text.stopHint}</p>
          <Field label={text.typeIt} value={typed} onChange={type} autoFocus />
        </Dialog>
      ) : null}
    </>
  )
}
