import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback } from 'react'

import { queuesQuery, statsQuery } from '../../api/queries'
import type { Queue, Queues } from '../../api/types'
import { useEvent } from '../../app/events'
import { go, to, useSegments } from '../../app/router'
import { useSession } from '../../app/session'
import { number, span } from '../../i18n'
import { Badge, Button, Card, Chart, EmptyState, ErrorState, PageHead, Skeleton, Table } from '../../ui'
import { useQueuesMessages } from './messages'
import { Waiting } from './Waiting'

const POLL_SECONDS = 15

/** What waits, live; and what waits in one queue: `#/queues/NAME`. */
export default function QueuesPage() {
  const text = useQueuesMessages()
  const [, queue] = useSegments()
  const cache = useQueryClient()
  const queues = useQuery({ ...queuesQuery, refetchInterval: POLL_SECONDS * 1000 })
  useEvent('queues', useCallback((data: Queues) => cache.setQueryData(queuesQuery.queryKey, data), [cache]))
  const { may } = useSession()
  return (
    <>
      <PageHead title={text.title}>{text.lead}</PageHead>
      {queues.data ? (
        <QueueTable queues={queues.data.queues} />
      ) : queues.error ? (
        <ErrorState error={queues.error} onRetry={() => void queues.refetch()} />
      ) : (
        <Skeleton lines={6} />
      )}
      {may('quality:read') ? <Pace waiting={sum(queues.data)} /> : null}
      <Waiting queue={queue ?? null} key={queue ?? ''} />
    </>
  )
}

const sum = (queues: Queues | undefined): number => (queues?.queues ?? []).reduce((all, queue) => all + queue.pending, 0)

function QueueTable({ queues }: { queues: Queue[] }) {
  const text = useQueuesMessages()
  const { may } = useSession()
  if (!queues.some((queue) => queue.pending || queue.leased)) return <EmptyState title={text.empty}>{text.emptyHint}</EmptyState>
  const shown = queues.filter((queue) => queue.pending || queue.leased || queues.length <= 12)
  return (
    <Table
      caption={text.title}
      rows={shown}
      rowKey={(queue) => queue.name}
      columns={[
        {
          name: text.title,
          cell: (queue) => (
            <span className="row">
              <a href={to('queues', queue.name)}>{queue.name}</a>
              {queue.role === 'reviewer' ? null : <Badge>{text.forLeads}</Badge>}
            </span>
          ),
        },
        { name: text.waiting, cell: (queue) => number(queue.pending), isNumber: true },
        { name: text.held, cell: (queue) => number(queue.leased), isNumber: true },
        {
          name: text.oldest,
          cell: (queue) => (queue.oldest_pending_seconds === null ? '–' : span(queue.oldest_pending_seconds)),
          isNumber: true,
        },
        { name: text.sla, cell: (queue) => (queue.sla_minutes === null ? '–' : span(queue.sla_minutes * 60)), isNumber: true },
        {
          name: text.overdue,
          cell: (queue) => (queue.overdue ? <Badge tone="bad">{number(queue.overdue)}</Badge> : number(0)),
          isNumber: true,
        },
        {
          name: text.work,
          cell: (queue) =>
            may('review') && (queue.role === 'reviewer' || may('escalations')) ? (
              <Button label={`${text.work}: ${queue.name}`} onPress={() => go('review', queue.name)}>
                {text.work}
              </Button>
            ) : null,
        },
      ]}
    />
  )
}

/** Arrivals against verdicts, and when the backlog ends at this pace. */
function Pace({ waiting }: { waiting: number }) {
  const text = useQueuesMessages()
  const stats = useQuery(statsQuery(24))
  if (!stats.data) return stats.error ? <ErrorState error={stats.error} onRetry={() => void stats.refetch()} /> : <Skeleton />
  const { buckets } = stats.data
  const last = buckets.slice(-6)
  const judged = last.reduce((all, bucket) => all + bucket.judged, 0)
  const requested = last.reduce((all, bucket) => all + bucket.requested, 0)
  const judgedAnHour = judged / 3
  return (
    <Card title={text.pace}>
      <Chart
        title={text.pace}
        at={buckets.map((bucket) => bucket.at)}
        series={[
          { name: text.arrivals, color: 'var(--chart-1)', values: buckets.map((bucket) => bucket.requested) },
          { name: text.verdicts, color: 'var(--chart-2)', values: buckets.map((bucket) => bucket.judged), dashed: true },
        ]}
      />
      {waiting === 0 ? null : (
        <p>
          {judged === 0
            ? text.still
            : requested < judged
              ? text.ends(span((waiting / (judged - requested)) * 3 * 3600))
              : text.grows(span(Math.max(60, ((requested - judged) / 3 / judgedAnHour) * 3600)))}
        </p>
      )}
    </Card>
  )
}
