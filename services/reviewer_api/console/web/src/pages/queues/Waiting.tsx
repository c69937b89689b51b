import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useCallback, useState } from 'react'

import { get, post } from '../../api/client'
import { policyQuery } from '../../api/queries'
import type { Claims, WaitingTasks } from '../../api/types'
import { go } from '../../app/router'
import { useSession } from '../../app/session'
import { relative } from '../../i18n'
import { Badge, Button, Card, ErrorState, HostileText, Skeleton, Table, toast, wordsOf } from '../../ui'
import { useShellMessages } from '../../app/messages'
import { BulkBar } from '../bulk/BulkBar'
import { BulkDialog, type Together } from '../bulk/BulkDialog'
import { useBulkMessages } from '../bulk/messages'
import { useWordsOfPages } from '../words'
import { useQueuesMessages } from './messages'

/** What waits in a queue, in the order in which it is given out. Texts show when they are asked for. */
export function Waiting({ queue }: { queue: string | null }) {
  const text = useQueuesMessages()
  const words = useWordsOfPages()
  const shell = useShellMessages()
  const { may } = useSession()
  const bulk = useBulkMessages()
  const [shown, show] = useState<ReadonlySet<string>>(new Set())
  const [selected, select] = useState<ReadonlySet<string>>(new Set())
  const [judging, judge] = useState(false)
  const [together, setTogether] = useState<Together | null>(null)
  const policy = useQuery({ ...policyQuery, enabled: judging })
  const tasks = useInfiniteQuery({
    queryKey: ['waiting', queue],
    queryFn: ({ pageParam, signal }) =>
      get<WaitingTasks>('/v1/review/tasks', { queue, after: pageParam, limit: 20 }, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    enabled: may('review'),
  })
  const { refetch } = tasks
  const again = useCallback(() => {
    setTogether(null)
    void refetch()
  }, [refetch])
  if (!may('review')) return null
  const take = async (id: string) => {
    try {
      const { tasks: taken } = await post<Claims>('/v1/review/claims', { task_ids: [id] })
      const [first] = taken
      if (first) go('review', first.queue)
      else toast({ text: words.leased, kind: 'info' })
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
  }
  const rows = tasks.data?.pages.flatMap((page) => page.tasks) ?? []
  const chosen = rows.filter(({ task_id, state }) => selected.has(task_id) && state === 'pending')
  const mark = (id: string, on: boolean) => select(new Set(on ? [...selected, id] : [...selected].filter((each) => each !== id)))
  const judged = (done: Together) => {
    judge(false)
    select(new Set())
    setTogether(done)
    void refetch()
  }
  return (
    <Card title={text.listed(queue ?? text.anyQueue)}>
      {chosen.length ? <Button kind="primary" onPress={() => judge(true)}>{bulk.selected(chosen.length)}</Button> : null}
      {together ? <BulkBar together={together} onEnd={again} /> : null}
      {judging && policy.data ? (
        <BulkDialog
          title={bulk.selectedTitle}
          hint={bulk.selectedHint}
          items={chosen}
          labels={Object.keys(policy.data.policy.labels).map((name) => ({ name }))}
          covered
          onClose={() => judge(false)}
          onJudged={judged}
        />
      ) : null}
      {tasks.isPending ? (
        <Skeleton />
      ) : tasks.error ? (
        <ErrorState error={tasks.error} onRetry={() => void tasks.refetch()} />
      ) : rows.length === 0 ? (
        <p className="muted">{text.nothing}</p>
      ) : (
        <Table
          caption={text.listed(queue ?? text.anyQueue)}
          rows={rows}
          rowKey={(task) => task.task_id}
          columns={[
            {
              name: bulk.select,
              cell: (task) =>
                task.state === 'pending' ? (
                  <input
                    type="checkbox"
                    aria-label={`${bulk.select}: ${task.content_id}`}
                    checked={selected.has(task.task_id)}
                    onChange={(event) => mark(task.task_id, event.target.checked)}
                  />
                ) : null,
            },
            {
              name: words.content,
              cell: (task) =>
                shown.has(task.task_id) ? (
                  <HostileText>{task.excerpt}</HostileText>
                ) : (
                  <Button
                    kind="quiet"
                    label={`${text.look}: ${task.content_id}`}
                    onPress={() => show(new Set([...shown, task.task_id]))}
                  >
                    {text.look}
                  </Button>
                ),
            },
            { name: words.source, cell: (task) => <HostileText>{task.source}</HostileText> },
            { name: words.author, cell: (task) => <HostileText>{task.author_id ?? '–'}</HostileText> },
            { name: words.when, cell: (task) => relative(task.created_at) },
            {
              name: words.state,
              cell: (task) => <Badge tone={task.state === 'leased' ? 'info' : 'neutral'}>{words[task.state]}</Badge>,
            },
            {
              name: text.work,
              cell: (task) =>
                task.state === 'pending' ? (
                  <Button label={`${text.review}: ${task.content_id}`} onPress={() => void take(task.task_id)}>
                    {text.work}
                  </Button>
                ) : null,
            },
          ]}
        />
      )}
      {tasks.hasNextPage ? (
        <Button onPress={() => void tasks.fetchNextPage()} isPending={tasks.isFetchingNextPage}>
          {words.more}
        </Button>
      ) : null}
    </Card>
  )
}
