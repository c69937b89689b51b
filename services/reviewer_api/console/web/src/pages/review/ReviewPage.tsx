import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react'

import { queuesQuery } from '../../api/queries'
import type { Queues } from '../../api/types'
import { useCommands } from '../../app/commands'
import { useEvent } from '../../app/events'
import { useShellMessages } from '../../app/messages'
import { go, useSegments } from '../../app/router'
import { onLogin, useMe } from '../../app/session'
import { number } from '../../i18n'
import { Button, Choice, Dialog, EmptyState, ErrorState, PageHead, Skeleton, toast, wordsOf } from '../../ui'
import { BulkBar } from '../bulk/BulkBar'
import type { Together } from '../bulk/BulkDialog'
import { BreakDialog, useBreaks } from './Breaks'
import { contextQuery } from './context'
import { Desk } from './desk'
import { Item } from './Item'
import { useReviewMessages } from './messages'
import { SafetySettings } from './SafetySettings'
import { UndoBar } from './UndoBar'
import type { Notice, Verdict, View } from './view'

const EVERY_QUEUE = ''

/** One item at a time, everything by keyboard. The address names the queue: `#/review/QUEUE`. */
export default function ReviewPage() {
  const [, queue = EVERY_QUEUE] = useSegments()
  return <QueueReview key={queue} queue={queue} />
}

function QueueReview({ queue }: { queue: string }) {
  const text = useReviewMessages()
  const desk = useDesk(queue)
  const view = useSyncExternalStore(desk.subscribe, () => desk.view)
  const { due, count, end } = useBreaks(view.labels)
  const [protecting, protect] = useState(false)
  const [together, setTogether] = useState<Together | null>(null)
  const judged = useCallback(
    (done: Together) => {
      desk.judgedTogether(judgedOf(done))
      setTogether(done)
    },
    [desk],
  )
  const ended = useCallback(
    (isUndone: boolean) => {
      if (isUndone && together) desk.reopened(judgedOf(together))
      setTogether(null)
    },
    [desk, together],
  )
  const decide = useCallback(
    (verdict: Verdict) => {
      count(verdict)
      desk.decide(verdict)
    },
    [desk, count],
  )
  useLive(desk, view)
  useCommands(
    useMemo(
      () => [
        { id: 'undo', key: 'u', title: text.undo, run: () => void desk.undo(), group: text.group },
        { id: 'safety', key: null, title: text.settings, run: () => protect(true), group: text.group },
      ],
      [desk, text],
    ),
  )
  const actions = (
    <>
      <QueueChoice queue={queue} />
      <Button onPress={() => protect(true)}>{text.settings}</Button>
    </>
  )
  return (
    <>
      <PageHead title={text.title} actions={actions}>
        {view.judged ? text.judged(view.judged) : null}
      </PageHead>
      {view.offline ? (
        <p className="notice warn" role="status">
          {text.unsent(view.unsent)}
        </p>
      ) : null}
      {view.current ? (
        <Item key={view.current.task_id} task={view.current} desk={desk} view={view} onVerdict={decide} onTogether={judged} />
      ) : view.state === 'failed' ? (
        <ErrorState error={view.problem} onRetry={desk.retry} />
      ) : view.state === 'empty' ? (
        <EmptyState title={text.empty}>
          <p>{text.emptyHint}</p>
          <p>{text.emptyHow}</p>
        </EmptyState>
      ) : (
        <Skeleton lines={8} />
      )}
      {together ? <BulkBar together={together} onEnd={ended} /> : <UndoBar desk={desk} view={view} />}
      {due ? <BreakDialog due={due} onEnd={end} /> : null}
      {protecting ? (
        <Dialog title={text.settings} onClose={() => protect(false)}>
          <SafetySettings />
        </Dialog>
      ) : null}
    </>
  )
}

const judgedOf = ({ ids, state }: Together): string[] => {
  const left = new Set(state.left.map(({ task_id }) => task_id))
  return ids.filter((id) => !left.has(id))
}

function QueueChoice({ queue }: { queue: string }) {
  const text = useReviewMessages()
  const { data } = useQuery({ ...queuesQuery, refetchInterval: 15_000 })
  const names = data?.queues ?? []
  const options = names.map(({ name, pending }) => [name, `${name} (${number(pending)})`] as const)
  const known = queue === EVERY_QUEUE || names.some(({ name }) => name === queue)
  return (
    <Choice
      label={text.queue}
      value={queue}
      onChange={(chosen) => (chosen ? go('review', chosen) : go('review'))}
      options={[[EVERY_QUEUE, text.allQueues], ...options, ...(known ? [] : [[queue, queue] as const])]}
    />
  )
}

/** Fetches what the next items need before they are shown, and hears from the server what becomes of items. */
function useLive(desk: Desk, view: View): void {
  const queries = useQueryClient()
  useEffect(() => view.next.forEach((task) => void queries.prefetchQuery(contextQuery(task))), [queries, view.next])
  useEvent(
    'queues',
    useCallback(
      (queues: Queues) => {
        queries.setQueryData(['queues'], queues)
        if (queues.queues.some(({ pending }) => pending)) desk.stirred()
      },
      [queries, desk],
    ),
  )
  useEvent('closed', useCallback(({ task_id, why }) => desk.wasClosed(task_id, why), [desk]))
}

/** The desk of this page, open for as long as the page is, with what happens around it. */
function useDesk(queue: string): Desk {
  const me = useMe()
  const text = useReviewMessages()
  const shell = useShellMessages()
  const desk = useMemo(() => new Desk(queue || null), [queue])
  const [subject] = useState(me.subject)

  useEffect(() => {
    desk.open()
    const again = onLogin((now) => (now.subject === subject ? desk.retry() : desk.reset()))
    const leave = () => desk.leave()
    const back = (event: PageTransitionEvent) => event.persisted && desk.returned()
    const ask = (event: BeforeUnloadEvent) => desk.view.unsent && event.preventDefault()
    const here = ['pointerdown', 'keydown', 'visibilitychange'] as const
    here.forEach((name) => document.addEventListener(name, desk.touch))
    addEventListener('pagehide', leave)
    addEventListener('pageshow', back)
    addEventListener('beforeunload', ask)
    addEventListener('online', desk.retry)
    return () => {
      again()
      here.forEach((name) => document.removeEventListener(name, desk.touch))
      removeEventListener('pagehide', leave)
      removeEventListener('pageshow', back)
      removeEventListener('beforeunload', ask)
      removeEventListener('online', desk.retry)
      desk.close()
    }
  }, [desk, subject])

  useEffect(() => {
    const say = (notice: Notice) => {
      if (notice.kind === 'lost') toast({ text: text.lost(notice.code), kind: 'bad', id: 'lost' })
      if (notice.kind === 'refused') toast({ text: wordsOf(notice.problem, shell), kind: 'bad' })
      if (notice.kind === 'undone') toast({ text: text.undone, kind: 'good', id: 'undo' })
      if (notice.kind === 'tooLate') toast({ text: text.tooLate, kind: 'bad', id: 'undo' })
    }
    return desk.onNotice(say)
  }, [desk, text, shell])
  return desk
}
