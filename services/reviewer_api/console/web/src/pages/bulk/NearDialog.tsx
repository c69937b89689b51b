import { useQuery } from '@tanstack/react-query'

import { get } from '../../api/client'
import type { NearTasks, PolicyLabel, ReviewTask } from '../../api/types'
import { Dialog, ErrorState, Skeleton } from '../../ui'
import { BulkDialog, type Together } from './BulkDialog'
import { useBulkMessages } from './messages'

interface Props {
  task: ReviewTask
  labels: readonly PolicyLabel[]
  covered: boolean
  onClose: () => void
  onJudged: (together: Together) => void
}

/** Near copies of the item in hand, to be judged with it. */
export function NearDialog({ task, ...rest }: Props) {
  const text = useBulkMessages()
  const near = useQuery({
    queryKey: ['near', task.task_id],
    queryFn: ({ signal }) => get<NearTasks>(`/v1/review/tasks/${task.task_id}/near`, {}, { signal }),
    gcTime: 0,
    staleTime: 0,
  })
  if (near.data?.tasks.length) {
    const items = [{ ...task, excerpt: task.content.text, author_id: task.content.author_id }, ...near.data.tasks]
    return <BulkDialog title={text.nearTitle} hint={text.nearHint} items={items} {...rest} />
  }
  return (
    <Dialog title={text.nearTitle} onClose={rest.onClose}>
      {near.error ? (
        <ErrorState error={near.error} onRetry={() => void near.refetch()} />
      ) : near.data ? (
        <p>{near.data.available ? text.noNear : text.unavailable}</p>
      ) : (
        <div aria-label={text.looking}><Skeleton /></div>
      )}
    </Dialog>
  )
}
