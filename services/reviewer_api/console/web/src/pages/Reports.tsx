import type { ReportedReason } from '../api/types'
import { number } from '../i18n'
import { Badge, Card, HostileText } from '../ui'
import { useWordsOfPages } from './words'

/** What users reported, by reason. Nobody learns who did. */
export function Reports({ of: reports, covered = false }: { of: readonly ReportedReason[]; covered?: boolean }) {
  const text = useWordsOfPages()
  if (!reports.length) return null
  return (
    <Card title={text.reported}>
      <ul>
        {reports.map(({ reason, reports: count, notes }) => (
          <li key={reason}>
            <span className="row">
              <HostileText>{reason}</HostileText>
              <Badge tone="warn">{number(count)}</Badge>
            </span>
            {notes.map((note, place) => (
              <p key={place} className="muted">{covered ? '…' : <HostileText>{note}</HostileText>}</p>
            ))}
          </li>
        ))}
      </ul>
    </Card>
  )
}
