import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { call, get, post } from '../../api/client'
import type { CreatedWebhook, Replayed, RotatedSecret, Tested, Webhook, WebhookList } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { number, relative } from '../../i18n'
import { Badge, Button, Card, Dialog, ErrorState, Field, Skeleton, Table, toast, useWords, wordsOf } from '../../ui'
import { useWordsOfPages } from '../words'
import { useAdminMessages } from './messages'
import { Secret } from './Secret'
import { useWebhookMessages } from './webhookMessages'

/** Where decisions are sent, what waits for it and what was given up. */
export function Webhooks() {
  const text = useWebhookMessages()
  const admin = useAdminMessages()
  const words = useWordsOfPages()
  const shell = useShellMessages()
  const cache = useQueryClient()
  const [adding, add] = useState(false)
  const [removing, remove] = useState<Webhook | null>(null)
  const [secret, setSecret] = useState<string | null>(null)
  const found = useQuery({
    queryKey: ['webhooks'],
    queryFn: ({ signal }) => get<WebhookList>('/v1/webhooks', {}, { signal }),
    refetchInterval: 5_000,
  })
  const act = async (work: () => Promise<string | null>) => {
    try {
      const told = await work()
      if (told) toast({ text: told, kind: 'good' })
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
    await cache.invalidateQueries({ queryKey: ['webhooks'] })
  }
  const test = (one: Webhook) =>
    act(async () => {
      const tested = await post<Tested>(`/v1/webhooks/${one.webhook_id}/test`, {})
      if (tested.arrived) return text.arrived(number(tested.milliseconds))
      toast({ text: text.notArrived(tested.problem ?? ''), kind: 'bad' })
      return null
    })
  const rotate = (one: Webhook) =>
    act(async () => {
      setSecret((await post<RotatedSecret>(`/v1/webhooks/${one.webhook_id}/secret`, {})).secret)
      return null
    })
  const replay = (one: Webhook) =>
    act(async () => {
      const again = await post<Replayed>(`/v1/webhooks/${one.webhook_id}/replay`, { failed: true })
      return text.again(number(again.deliveries))
    })
  const turn = (one: Webhook) =>
    act(async () => {
      await call('PATCH', `/v1/webhooks/${one.webhook_id}`, { enabled: !one.enabled })
      return null
    })
  const end = (one: Webhook) =>
    act(async () => {
      remove(null)
      await call('DELETE', `/v1/webhooks/${one.webhook_id}`)
      return null
    })
  return (
    <Card title={text.title} actions={<Button onPress={() => add(true)}>{text.add}</Button>}>
      {found.isPending ? (
        <Skeleton />
      ) : found.error ? (
        <ErrorState error={found.error} onRetry={() => void found.refetch()} />
      ) : found.data.webhooks.length === 0 ? (
        <p className="muted">{text.none}</p>
      ) : (
        <Table
          caption={text.title}
          rows={found.data.webhooks}
          rowKey={(one) => one.webhook_id}
          columns={[
            { name: text.where, cell: (one) => <span dir="ltr">{one.description || one.url}</span> },
            { name: words.state, cell: (one) => <State one={one} /> },
            { name: text.waiting, cell: (one) => number(one.waiting + one.behind) },
            { name: text.failed, cell: (one) => number(one.failed) },
            {
              name: text.actions,
              cell: (one) => (
                <div className="row">
                  <Button label={`${text.test}: ${one.url}`} onPress={() => void test(one)}>{text.test}</Button>
                  {one.failed ? (
                    <Button label={`${text.replay}: ${one.url}`} onPress={() => void replay(one)}>{text.replay}</Button>
                  ) : null}
                  <Button label={`${text.rotate}: ${one.url}`} onPress={() => void rotate(one)}>{text.rotate}</Button>
                  <Button
                    label={`${one.enabled ? admin.disable : admin.enable}: ${one.url}`}
                    onPress={() => void turn(one)}
                  >
                    {one.enabled ? admin.disable : admin.enable}
                  </Button>
                  <Button label={`${text.remove}: ${one.url}`} onPress={() => remove(one)}>{text.remove}</Button>
                </div>
              ),
            },
          ]}
        />
      )}
      {adding ? (
        <NewWebhook
          onClose={() => add(false)}
          onMade={(made) => {
            add(false)
            setSecret(made)
            void cache.invalidateQueries({ queryKey: ['webhooks'] })
          }}
        />
      ) : null}
      {removing ? (
        <Dialog
          title={text.remove}
          onClose={() => remove(null)}
          footer={
            <>
              <Button onPress={() => remove(null)}>{words.cancel}</Button>
              <Button kind="danger" onPress={() => void end(removing)}>{text.remove}</Button>
            </>
          }
        >
          <p>{text.lost}</p>
          <code dir="ltr">{removing.url}</code>
        </Dialog>
      ) : null}
      {secret ? (
        <Secret title={text.secret} hint={text.secretHint} secret={secret} onClose={() => setSecret(null)} />
      ) : null}
    </Card>
  )
}

function State({ one }: { one: Webhook }) {
  const text = useWebhookMessages()
  const admin = useAdminMessages()
  if (!one.enabled) return <Badge tone="bad">{one.disabled_why ?? admin.disabled}</Badge>
  if (one.resting_until) return <Badge tone="warn">{text.rests(relative(one.resting_until))}</Badge>
  return <Badge tone="good">{text.works}</Badge>
}

function NewWebhook({ onClose, onMade }: { onClose: () => void; onMade: (secret: string) => void }) {
  const text = useWebhookMessages()
  const admin = useAdminMessages()
  const words = useWordsOfPages()
  const [url, setUrl] = useState('')
  const [description, setDescription] = useState('')
  const [error, setError] = useState<unknown>(null)
  const told = useWords(error)
  const send = async () => {
    try {
      onMade((await post<CreatedWebhook>('/v1/webhooks', { url: url.trim(), description: description.trim() })).secret)
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
          <Button kind="primary" onPress={() => void send()} isDisabled={!url.trim()}>{admin.create}</Button>
        </>
      }
    >
      {error ? <p className="notice bad" role="alert">{told}</p> : null}
      <p className="muted">{text.lead}</p>
      <Field label="URL" value={url} onChange={setUrl} maxLength={2000} isRequired autoFocus />
      <Field label={text.description} value={description} onChange={setDescription} maxLength={200} />
    </Dialog>
  )
}
