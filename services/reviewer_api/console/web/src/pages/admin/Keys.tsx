import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { call, get, post } from '../../api/client'
import type { ApiKeyList, CreatedApiKey } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { number, relative } from '../../i18n'
import { Badge, Button, Card, Choice, Dialog, ErrorState, Field, Skeleton, Table, toast, useWords, wordsOf } from '../../ui'
import { useWordsOfPages } from '../words'
import { ROLES, useAdminMessages } from './messages'
import { Secret } from './Secret'

const KEY_ROLES = ['service', ...ROLES] as const
const DAYS = ['', '30', '90', '365'] as const

/** Which programs may call this service. */
export function Keys() {
  const text = useAdminMessages()
  const words = useWordsOfPages()
  const shell = useShellMessages()
  const cache = useQueryClient()
  const [adding, add] = useState(false)
  const [made, setMade] = useState<string | null>(null)
  const keys = useQuery({ queryKey: ['keys'], queryFn: ({ signal }) => get<ApiKeyList>('/v1/keys', {}, { signal }) })
  const changed = () => cache.invalidateQueries({ queryKey: ['keys'] })
  const revoke = async (id: string) => {
    try {
      await call('DELETE', `/v1/keys/${id}`)
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
    await changed()
  }
  return (
    <Card title={text.keys} actions={<Button onPress={() => add(true)}>{text.addKey}</Button>}>
      {keys.isPending ? (
        <Skeleton />
      ) : keys.error ? (
        <ErrorState error={keys.error} onRetry={() => void keys.refetch()} />
      ) : keys.data.keys.length === 0 ? (
        <p className="muted">{text.noKeys}</p>
      ) : (
        <Table
          caption={text.keys}
          rows={keys.data.keys}
          rowKey={(key) => key.key_id}
          columns={[
            { name: words.name, cell: (key) => key.name },
            { name: words.role, cell: (key) => key.role },
            { name: text.made, cell: (key) => relative(key.created_at) },
            { name: text.used, cell: (key) => (key.last_used_at ? relative(key.last_used_at) : '–') },
            { name: text.expires, cell: (key) => (key.expires_at ? relative(key.expires_at) : text.never) },
            {
              name: words.state,
              cell: (key) =>
                key.revoked_at ? (
                  <Badge>{text.revoked}</Badge>
                ) : (
                  <Button label={`${text.revoke}: ${key.name}`} onPress={() => void revoke(key.key_id)}>{text.revoke}</Button>
                ),
            },
          ]}
        />
      )}
      {adding ? (
        <NewKey
          onClose={() => add(false)}
          onMade={(key) => {
            add(false)
            setMade(key)
            void changed()
          }}
        />
      ) : null}
      {made ? <Secret title={text.newKey} hint={text.keyHint} secret={made} onClose={() => setMade(null)} /> : null}
    </Card>
  )
}

function NewKey({ onClose, onMade }: { onClose: () => void; onMade: (key: string) => void }) {
  const text = useAdminMessages()
  const words = useWordsOfPages()
  const [name, setName] = useState('')
  const [role, setRole] = useState<(typeof KEY_ROLES)[number]>('service')
  const [days, setDays] = useState<(typeof DAYS)[number]>('90')
  const [error, setError] = useState<unknown>(null)
  const told = useWords(error)
  const send = async () => {
    const expires_at = days ? new Date(Date.now() + Number(days) * 86_400_000).toISOString() : null
    try {
      onMade((await post<CreatedApiKey>('/v1/keys', { name, role, expires_at })).key)
    } catch (problem) {
      setError(problem)
    }
  }
  return (
    <Dialog
      title={text.addKey}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{words.cancel}</Button>
          <Button kind="primary" onPress={() => void send()} isDisabled={!name.trim()}>{text.create}</Button>
        </>
      }
    >
      {error ? <p className="notice bad" role="alert">{told}</p> : null}
      <Field label={words.name} value={name} onChange={setName} maxLength={128} isRequired autoFocus />
      <Choice label={words.role} value={role} onChange={setRole} options={KEY_ROLES.map((each) => [each, each] as const)} />
      <Choice
        label={text.expires}
        value={days}
        onChange={setDays}
        options={DAYS.map((each) => [each, each ? text.days(number(Number(each))) : text.never] as const)}
      />
    </Dialog>
  )
}
