import { useQuery } from '@tanstack/react-query'

import { get, Problem } from '../../api/client'
import type { ReviewTask, TaskContext } from '../../api/types'

/** Author, thread and notes; null where the API gives none, undefined until it answers. */
export function useTaskContext(task: ReviewTask): TaskContext | null | undefined {
  const { data } = useQuery(contextQuery(task))
  return data
}

export const contextQuery = (task: ReviewTask) => ({
  queryKey: ['context', task.task_id],
  // The answer is shown for one item in hand and forgotten with it.
  gcTime: 60_000,
  staleTime: 60_000,
  queryFn: () =>
    get<TaskContext>(`/v1/review/tasks/${task.task_id}/context`).catch((error: unknown) => {
      if (error instanceof Problem && (error.status === 404 || error.status === 409)) return null
      throw error
    }),
})
