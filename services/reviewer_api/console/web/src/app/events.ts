/** What the server says by itself: one stream for the whole page, open while somebody listens. */
import { useEffect } from 'react'

import type { Queues } from '../api/types'
import { onLogin } from './session'

interface Events {
  /** The queues as `GET /v1/queues` has them: at the start and when they change. */
  queues: Queues
  /** An item that the person held is theirs no longer. */
  closed: { task_id: string; why: 'superseded' | 'withdrawn' | 'taken_back' | 'expired' }
}

type Name = keyof Events
type Listener = (data: never) => void

const NAMES: Name[] = ['queues', 'closed']
const AGAIN = 30_000
const listeners: Record<Name, Set<Listener>> = { queues: new Set(), closed: new Set() }
let stream: EventSource | null = null
let timer: ReturnType<typeof setTimeout> | undefined

const heard = () => NAMES.some((name) => listeners[name].size)

function open(): void {
  if (!heard() || (stream && stream.readyState !== EventSource.CLOSED)) return
  clearTimeout(timer)
  stream = new EventSource('/v1/events')
  for (const name of NAMES) {
    stream.addEventListener(name, (event: MessageEvent<string>) =>
      listeners[name].forEach((listener) => listener(JSON.parse(event.data) as never)),
    )
  }
  // Browsers connect again after silence by themselves, but not after a refusal, such as at the end of a session.
  stream.addEventListener('error', () => {
    if (stream?.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN)
  })
}

function close(): void {
  if (heard()) return
  clearTimeout(timer)
  stream?.close()
  stream = null
}

onLogin(open)

/** Calls `listener` for every event of this name while the component is there. Polling has to do where none come. */
export function useEvent<N extends Name>(name: N, listener: (data: Events[N]) => void): void {
  useEffect(() => {
    listeners[name].add(listener)
    open()
    return () => {
      listeners[name].delete(listener)
      close()
    }
  }, [name, listener])
}
