import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { get, post, Problem } from '../../api/client'
import { policyQuery } from '../../api/queries'
import type { PolicyDocument, PolicyList } from '../../api/types'
import { useSession } from '../../app/session'
import { number, time } from '../../i18n'
import { Card, EmptyState, ErrorState, PageHead, Skeleton, Table, toast } from '../../ui'
import { useWordsOfPages } from '../words'
import { Editor } from './Editor'
import { KillSwitch } from './KillSwitch'
import { usePolicyMessages } from './messages'
import { documentOf } from './document'

/** The rules in force: read, change, stop. */
export default function PolicyPage() {
  const text = usePolicyMessages()
  const cache = useQueryClient()
  const { may } = useSession()
  const [edits, setEdits] = useState(0)
  const active = useQuery(policyQuery)
  const none = active.error instanceof Problem && active.error.status === 404
  const policy = active.data
  const publish = async (document: string, done: string) => {
    await post<PolicyDocument>('/v1/policies', { document, over: policy?.version ?? 0 })
    toast({ text: done, kind: 'good' })
    await cache.invalidateQueries(policyQuery)
    await cache.invalidateQueries({ queryKey: ['policies'] })
    setEdits((count) => count + 1)
  }
  if (active.isPending) return <Skeleton lines={10} />
  if (active.error && !none) return <ErrorState error={active.error} onRetry={() => void active.refetch()} />
  const document = policy ? documentOf(policy.policy) : ''
  return (
    <>
      <PageHead title={text.title} actions={policy && may('policy:publish') ? <KillSwitch policy={policy} publish={publish} /> : null}>
        {policy ? text.inForce(number(policy.version), time(policy.published_at), policy.published_by) : null}
      </PageHead>
      {policy?.policy.kill_switch ? <p className="notice bad" role="status">{text.stopped}</p> : null}
      {none ? <EmptyState title={text.none}>{text.noneHint}</EmptyState> : null}
      <Editor key={`${policy?.version ?? 0}-${edits}`} before={document} publish={publish} />
      <Versions />
    </>
  )
}

function Versions() {
  const text = usePolicyMessages()
  const words = useWordsOfPages()
  const versions = useQuery({
    queryKey: ['policies'],
    queryFn: ({ signal }) => get<PolicyList>('/v1/policies', {}, { signal }),
  })
  if (!versions.data?.policies.length) return null
  return (
    <Card title={text.versions}>
      <Table
        caption={text.versions}
        rows={versions.data.policies}
        rowKey={(policy) => String(policy.version)}
        columns={[
          { name: text.version, cell: (policy) => number(policy.version) },
          { name: words.name, cell: (policy) => policy.name },
          { name: words.when, cell: (policy) => time(policy.published_at) },
          { name: words.by, cell: (policy) => policy.published_by },
        ]}
      />
    </Card>
  )
}
