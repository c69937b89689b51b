import type { Outcome } from '../api/types'
import { Badge } from '../ui'
import { useWordsOfPages } from './words'

/** What was decided, with its labels. */
export function OutcomeWord({ outcome, labels = [] }: { outcome: Outcome | null | undefined; labels?: readonly string[] }) {
  const text = useWordsOfPages()
  if (!outcome) return <span className="muted">{text.none}</span>
  return (
    <span className="row">
      <Badge tone={outcome === 'approve' ? 'good' : 'bad'}>{text[outcome]}</Badge>
      {labels.map((label) => (
        <Badge key={label}>{label}</Badge>
      ))}
    </span>
  )
}
