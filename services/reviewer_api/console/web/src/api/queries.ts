/** What several pages ask for: asked once, and kept under one key. */
import { queryOptions } from '@tanstack/react-query'

import { get } from './client'
import type { PolicyDocument, Queues, SavedTexts, Stats } from './types'

export const policyQuery = queryOptions({
  queryKey: ['policy'],
  queryFn: ({ signal }) => get<PolicyDocument>('/v1/policies/active', {}, { signal }),
})

/** What this person writes often. */
export const textsQuery = queryOptions({
  queryKey: ['texts'],
  queryFn: ({ signal }) => get<SavedTexts>('/v1/review/texts', {}, { signal }),
  staleTime: 60_000,
})

export const queuesQuery = queryOptions({
  queryKey: ['queues'],
  queryFn: ({ signal }) => get<Queues>('/v1/queues', {}, { signal }),
})

/** Counts over the last hours, in 48 buckets. */
export const statsQuery = (hours: number) =>
  queryOptions({
    queryKey: ['stats', hours],
    queryFn: ({ signal }) => get<Stats>('/v1/stats', { hours, buckets: 48 }, { signal }),
    refetchInterval: 60_000,
  })
