import { useInfiniteQuery } from '@tanstack/react-query'

import { get } from '../../api/client'
import type { AuditLogPage } from '../../api/types'
import { time } from '../../i18n'
import { Button, Card, ErrorState, Skeleton, Table } from '../../ui'
import { useWordsOfPages } from '../words'
import { useAdminMessages } from './messages'

const told = (details: Record<string, unknown>): string =>
  Object.entries(details).map(([name, value]) => `${name}: ${String(value)}`).join(', ') // prettier-ignore

/** Who did what, newest first. */
export function AuditLog() {
  const text = useAdminMessages()
  const words = useWordsOfPages()
  const log = useInfiniteQuery({
    queryKey: ['audit-log'],
    queryFn: ({ pageParam, signal }) => get<AuditLogPage>('/v1/audit-log', { after: pageParam, limit: 20 }, { signal }),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next,
  })
  if (log.isPending) return <Skeleton />
  if (log.error) return <ErrorState error={log.error} onRetry={() => void log.refetch()} />
  return (
    <Card title={text.log}>
      <Table
        caption={text.log}
        rows={log.data.pages.flatMap((page) => page.entries)}
        rowKey={(entry) => String(entry.number)}
        columns={[
          { name: words.when, cell: (entry) => time(entry.at) },
          { name: text.who, cell: (entry) => entry.actor },
          { name: text.did, cell: (entry) => entry.action },
          { name: text.to, cell: (entry) => entry.object },
          { name: text.details, cell: (entry) => told(entry.details) || '–' },
        ]}
      />
      {log.hasNextPage ? (
        <div>
          <Button onPress={() => void log.fetchNextPage()} isPending={log.isFetchingNextPage}>{words.more}</Button>
        </div>
      ) : null}
    </Card>
  )
}
