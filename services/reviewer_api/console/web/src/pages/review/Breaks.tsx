import { useCallback, useState } from 'react'

import type { PolicyLabel } from '../../api/types'
import { useSettings } from '../../app/settings'
import { Button, Dialog } from '../../ui'
import { useReviewMessages } from './messages'
import { breakDue, severeLabels, type Stretch } from './safety'
import type { Verdict } from './view'

const begin = (): Stretch => ({ severe: 0, since: Date.now() })

/** Counts what a person has looked at since the last break; `due` says when the next one is. */
export function useBreaks(labels: readonly PolicyLabel[]) {
  const settings = useSettings()
  const [stretch, setStretch] = useState<Stretch>(begin)
  const [due, setDue] = useState<'severe' | 'time' | null>(null)
  const count = useCallback(
    (verdict: Verdict) => {
      const severe = severeLabels(settings, labels)
      const isSevere = verdict.labels.some((label) => severe.has(label))
      const next = { ...stretch, severe: isSevere ? stretch.severe + 1 : 0 }
      setStretch(next)
      setDue(breakDue(settings, next, Date.now()))
    },
    [settings, labels, stretch],
  )
  const end = useCallback(() => {
    setStretch(begin())
    setDue(null)
  }, [])
  return { due, count, end }
}

/** Stands before the next item until the person goes on. */
export function BreakDialog({ due, onEnd }: { due: 'severe' | 'time'; onEnd: () => void }) {
  const text = useReviewMessages()
  return (
    <Dialog title={text.breakTitle} footer={<Button kind="primary" onPress={onEnd} autoFocus>{text.goOn}</Button>}>
      <p>{due === 'severe' ? text.breakSevere : text.breakTime}</p>
    </Dialog>
  )
}
