import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { call, get, post } from '../../api/client'
import type { Account, AccountList, CreatedAccount, LoginLink } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { useMe } from '../../app/session'
import { relative } from '../../i18n'
import { Badge, Button, Card, Choice, Dialog, ErrorState, Field, Skeleton, Table, toast, useWords, wordsOf } from '../../ui'
import { useWordsOfPages } from '../words'
import { ROLES, useAdminMessages, type AccountRole } from './messages'
import { Secret } from './Secret'

const addressOf = (token: string): string => `${location.origin}/#login=${token}`

/** Who may sign in. */
export function Accounts() {
  const text = useAdminMessages()
  const words = useWordsOfPages()
  const shell = useShellMessages()
  const me = useMe()
  const cache = useQueryClient()
  const [adding, add] = useState(false)
  const [link, setLink] = useState<{ name: string; token: string } | null>(null)
  const accounts = useQuery({ queryKey: ['accounts'], queryFn: ({ signal }) => get<AccountList>('/v1/accounts', {}, { signal }) })
  const changed = () => cache.invalidateQueries({ queryKey: ['accounts'] })
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work()
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
    await changed()
  }
  const change = (account: Account, to: { role?: AccountRole; disabled?: boolean }) =>
    attempt(() => call<Account>('PATCH', `/v1/accounts/${account.account_id}`, to))
  const newLink = (account: Account) =>
    attempt(async () => {
      const { link_token } = await post<LoginLink>(`/v1/accounts/${account.account_id}/link`)
      setLink({ name: account.name, token: link_token })
    })
  return (
    <Card title={text.accounts} actions={<Button kind="primary" onPress={() => add(true)}>{text.add}</Button>}>
      {accounts.isPending ? (
        <Skeleton />
      ) : accounts.error ? (
        <ErrorState error={accounts.error} onRetry={() => void accounts.refetch()} />
      ) : (
        <Table
          caption={text.accounts}
          rows={accounts.data.accounts}
          rowKey={(account) => account.account_id}
          columns={[
            {
              name: text.username,
              cell: (account) => (
                <span className="row">
                  <b>{account.username}</b>
                  {account.subject === me.subject ? <Badge tone="info">{text.you}</Badge> : null}
                  {account.disabled_at ? <Badge tone="bad">{text.disabled}</Badge> : null}
                </span>
              ),
            },
            { name: words.name, cell: (account) => account.name },
            { name: words.role, cell: (account) => account.role },
            { name: text.seen, cell: (account) => (account.last_seen_at ? relative(account.last_seen_at) : '–') },
            {
              name: words.state,
              cell: (account) => (
                <span className="row">
                  {account.disabled_at ? null : (
                    <Button label={`${text.link}: ${account.username}`} onPress={() => void newLink(account)}>{text.link}</Button>
                  )}
                  <Button
                    label={`${account.disabled_at ? text.enable : text.disable}: ${account.username}`}
                    onPress={() => void change(account, { disabled: !account.disabled_at })}
                  >
                    {account.disabled_at ? text.enable : text.disable}
                  </Button>
                </span>
              ),
            },
          ]}
        />
      )}
      {adding ? (
        <NewAccount
          onClose={() => add(false)}
          onMade={({ account, link_token }) => {
            add(false)
            setLink({ name: account.name, token: link_token })
            void changed()
          }}
        />
      ) : null}
      {link ? (
        <Secret title={text.linkFor(link.name)} hint={text.linkHint} secret={addressOf(link.token)} onClose={() => setLink(null)} />
      ) : null}
    </Card>
  )
}

function NewAccount({ onClose, onMade }: { onClose: () => void; onMade: (made: CreatedAccount) => void }) {
  const text = useAdminMessages()
  const words = useWordsOfPages()
  const [username, setUsername] = useState('')
  const [name, setName] = useState('')
  const [role, setRole] = useState<AccountRole>('moderator')
  const [error, setError] = useState<unknown>(null)
  const told = useWords(error)
  const send = async () => {
    try {
      onMade(await post<CreatedAccount>('/v1/accounts', { username, role, ...(name ? { name } : {}) }))
    } catch (problem) {
      setError(problem)
    }
  }
  return (
    <Dialog
      title={text.add}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>{words.cancel}</Button>
          <Button kind="primary" onPress={() => void send()} isDisabled={!username.trim()}>{text.create}</Button>
        </>
      }
    >
      <p className="muted">{text.addHint}</p>
      {error ? <p className="notice bad" role="alert">{told}</p> : null}
      <Field label={text.username} value={username} onChange={setUsername} maxLength={64} isRequired autoFocus />
      <Field label={words.name} value={name} onChange={setName} maxLength={128} />
      <Choice<AccountRole> label={words.role} value={role} onChange={setRole} options={ROLES.map((each) => [each, each] as const)} />
    </Dialog>
  )
}
