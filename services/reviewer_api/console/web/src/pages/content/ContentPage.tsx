import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { get, inPath, post } from '../../api/client'
import type { Content, Note } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { to, useSegments } from '../../app/router'
import { useMe, useSession } from '../../app/session'
import { number, relative, time } from '../../i18n'
import { Badge, Button, Card, ErrorState, Facts, Field, HostileText, OutsideLink, PageHead, Skeleton, Table, toast, wordsOf } from '../../ui'
import { OutcomeWord } from '../Outcome'
import { Reports } from '../Reports'
import { useWordsOfPages } from '../words'
import { useContentMessages } from './messages'
import { Reverse } from './Reverse'

/** Everything about one piece of content: `#/content/SOURCE/ID`. */
export default function ContentPage() {
  const text = useContentMessages()
  const [, source = '', id = ''] = useSegments()
  const content = useQuery({
    queryKey: ['content', source, id],
    queryFn: ({ signal }) => get<Content>(`/v1/content/${inPath(source)}/${inPath(id)}`, {}, { signal }),
  })
  return (
    <>
      <PageHead title={text.title}>
        <HostileText>{`${source}/${id}`}</HostileText>
      </PageHead>
      {content.data ? (
        <Told content={content.data} />
      ) : content.error ? (
        <ErrorState error={content.error} onRetry={() => void content.refetch()} />
      ) : (
        <Skeleton lines={8} />
      )}
    </>
  )
}

function Told({ content }: { content: Content }) {
  const text = useContentMessages()
  const words = useWordsOfPages()
  const inReview = content.revisions.some((revision) => revision.state === 'in_review')
  return (
    <>
      {inReview ? <p className="notice info" role="status">{text.open}</p> : null}
      <Facts
        of={content.revisions.map(({ revision, state }) => ({
          name: `${text.revision} ${number(revision)}`,
          value: <Badge tone={state === 'in_review' ? 'info' : 'neutral'}>{words[state]}</Badge>,
        }))}
      />
      {content.content ? (
        <Card title={text.what}>
          {content.content.context.title ? <h3><HostileText>{content.content.context.title}</HostileText></h3> : null}
          <p className="item-text">
            {content.content.text || !content.content.context.url ? (
              <HostileText>{content.content.text}</HostileText>
            ) : (
              <OutsideLink address={content.content.context.url} />
            )}
          </p>
          <p className="muted row">
            {content.content.author_id ? (
              <a href={to('authors', content.source, content.content.author_id)}>
                {text.author} <HostileText>{content.content.author_id}</HostileText>
              </a>
            ) : null}
            <span>{time(content.content.created_at)}</span>
          </p>
        </Card>
      ) : inReview ? null : (
        <p className="muted">{text.hidden}</p>
      )}
      <Decisions content={content} inReview={inReview} />
      {content.judgements.length ? (
        <Card title={text.said}>
          <Table
            caption={text.said}
            rows={content.judgements}
            rowKey={(given) => `${given.reviewer}${given.judged_at}`}
            columns={[
              { name: words.by, cell: (given) => given.reviewer },
              {
                name: words.outcome,
                cell: (given) => (
                  <span className="row">
                    <OutcomeWord outcome={given.outcome} labels={given.labels} />
                    {given.undone ? <span className="muted">{text.undone}</span> : null}
                  </span>
                ),
              },
              { name: text.reason, cell: (given) => <HostileText>{given.note ?? '–'}</HostileText> },
              { name: words.when, cell: (given) => relative(given.judged_at) },
            ]}
          />
        </Card>
      ) : null}
      <Reports of={content.reports} />
      <Notes content={content} />
    </>
  )
}

function Decisions({ content, inReview }: { content: Content; inReview: boolean }) {
  const text = useContentMessages()
  const words = useWordsOfPages()
  const me = useMe()
  const { may } = useSession()
  const [reversing, reverse] = useState(false)
  const newest = content.decisions.at(-1)
  if (!newest) return null
  const mine = newest.decided_by === me.subject && may('review')
  return (
    <Card
      title={text.history}
      actions={(mine || may('decisions:reverse')) && !inReview ? <Button onPress={() => reverse(true)}>{text.reverse}</Button> : null}
    >
      <Table
        caption={text.history}
        rows={content.decisions.toReversed()}
        rowKey={(decision) => decision.decision_id}
        columns={[
          {
            name: words.outcome,
            cell: (decision) => (
              <span className="row">
                <OutcomeWord outcome={decision.outcome} labels={decision.labels} />
                {decision === newest ? <Badge tone="info">{text.current}</Badge> : null}
              </span>
            ),
          },
          { name: words.by, cell: (decision) => decision.decided_by },
          { name: text.reason, cell: (decision) => <HostileText>{decision.reason}</HostileText> },
          { name: text.revision, cell: (decision) => number(decision.revision), isNumber: true },
          { name: words.when, cell: (decision) => time(decision.decided_at) },
        ]}
      />
      {reversing ? <Reverse decision={newest} onClose={() => reverse(false)} /> : null}
    </Card>
  )
}

function Notes({ content }: { content: Content }) {
  const text = useContentMessages()
  const shell = useShellMessages()
  const { may } = useSession()
  const cache = useQueryClient()
  const [note, setNote] = useState('')
  const [busy, setBusy] = useState(false)
  if (!may('review')) return null
  const send = async () => {
    setBusy(true)
    try {
      await post<Note>('/v1/notes', { source: content.source, content_id: content.content_id, text: note })
      setNote('')
      await cache.invalidateQueries({ queryKey: ['content'] })
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
    setBusy(false)
  }
  return (
    <Card title={text.notes}>
      {content.notes.map(({ by, at, text: said }) => (
        <p key={`${by}${at}`}>
          <HostileText>{said}</HostileText>
          <br />
          <small className="muted">{by} · {relative(at)}</small>
        </p>
      ))}
      <Field label={text.addNote} hint={text.note} value={note} onChange={setNote} rows={2} maxLength={2000} />
      <div>
        <Button onPress={() => void send()} isDisabled={!note.trim()} isPending={busy}>{text.send}</Button>
      </div>
    </Card>
  )
}
