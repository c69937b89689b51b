import type { PastContent, PolicyLabel, ReviewTask, TaskContext } from '../../api/types'
import { number, relative } from '../../i18n'
import { Badge, Card, HostileText, OutsideLink } from '../../ui'
import { Reports } from '../Reports'
import { AddNote } from './AddNote'
import { useReviewMessages } from './messages'

interface Props {
  task: ReviewTask
  context: TaskContext | null
  labels: readonly PolicyLabel[]
  /** While the item's text is covered, the texts around it are too. */
  covered: boolean
}

/** Beside the item: where it stands, who wrote it, what was said around it, and the rules. */
export function Side({ task, context, labels, covered }: Props) {
  const text = useReviewMessages()
  const { context: place, author_id: author, attributes } = task.content
  const about = [
    [text.title_, place.title], [text.url, place.url], [text.parent, place.parent_text], [text.author, author],
    ...Object.entries(attributes).map(([name, value]) => [name, value === null ? null : String(value)] as const),
  ].filter((each): each is [string, string] => Boolean(each[1]))
  return (
    <aside className="aside" aria-label={text.context}>
      {about.length ? (
        <Card title={text.context}>
          <dl className="stack">
            {about.map(([name, value]) => (
              <div key={name}>
                <dt className="muted"><small><HostileText>{name}</HostileText></small></dt>
                <dd>
                  {name === text.url && value === place.url ? (
                    <OutsideLink address={value} />
                  ) : covered && name !== text.author ? (
                    '…'
                  ) : (
                    <HostileText>{value}</HostileText>
                  )}
                </dd>
              </div>
            ))}
          </dl>
        </Card>
      ) : null}
      {context ? <Reports of={context.reports} covered={covered} /> : null}
      {context ? <Author context={context} covered={covered} /> : null}
      {context?.thread.length ? (
        <Card title={text.thread}>
          <ul>
            {context.thread.map((past) => (
              <Past key={`${past.source}/${past.content_id}`} of={past} covered={covered} />
            ))}
          </ul>
        </Card>
      ) : null}
      {context ? (
        <Card title={text.notes} actions={<AddNote content={task.content} />}>
          {context.notes.length ? (
          <ul>
            {context.notes.map(({ by, at, text: said }) => (
              <li key={`${by}${at}`}>
                <HostileText>{said}</HostileText>
                <br />
                <small className="muted">
                  {by} · {relative(at)}
                </small>
              </li>
            ))}
          </ul>
          ) : null}
        </Card>
      ) : null}
      <Card title={text.policy}>
        <dl className="policy-labels">
          {labels.map(({ name, description, severity }) => (
            <div key={name}>
              <dt>{name} <small className="muted">{text.severity(number(severity))}</small></dt>
              <dd dir="auto">{description}</dd>
            </div>
          ))}
        </dl>
      </Card>
    </aside>
  )
}

function Author({ context: { author }, covered }: { context: TaskContext; covered: boolean }) {
  const text = useReviewMessages()
  return (
    <Card title={text.author}>
      {author?.items ? (
        <>
          <p>
            {text.authorItems(author.items)}: {number(author.approved)} {text.approvedShare}, {number(author.rejected)} {text.rejectedShare}
          </p>
          <p className="row">
            {author.labels.map(({ label, items }) => (
              <Badge key={label} tone="bad">{label} {number(items)}</Badge>
            ))}
          </p>
          <h3>{text.recent}</h3>
          <ul>
            {author.recent.map((past) => (
              <Past key={`${past.source}/${past.content_id}`} of={past} covered={covered} />
            ))}
          </ul>
        </>
      ) : (
        <p className="muted">{text.noHistory}</p>
      )}
    </Card>
  )
}

function Past({ of: { excerpt, outcome, decided_at }, covered }: { of: PastContent; covered: boolean }) {
  return (
    <li>
      {covered ? <p className="muted">…</p> : <p className="excerpt"><HostileText>{excerpt}</HostileText></p>}
      {decided_at ? <small className="muted">{relative(decided_at)} </small> : null}
      <OutcomeBadge outcome={outcome} />
    </li>
  )
}

function OutcomeBadge({ outcome }: { outcome: 'approve' | 'reject' | null }) {
  const text = useReviewMessages()
  if (!outcome) return null
  return <Badge tone={outcome === 'approve' ? 'good' : 'bad'}>{outcome === 'approve' ? text.approved : text.rejectedShare}</Badge>
}
