/** Who is logged in. A session that ends in the middle of work leaves the page as it is and asks for the login. */
import { useQueryClient } from '@tanstack/react-query'
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react'

import { call, get, onUnauthenticated, post, Problem } from '../api/client'
import type { Me } from '../api/types'

type State =
  | { is: 'starting' }
  | { is: 'out'; trouble: Problem | Error | null }
  | { is: 'in'; me: Me }
  | { is: 'expired'; me: Me }

interface Session {
  state: State
  may: (permission: string | null) => boolean
  login: (username: string, password: string) => Promise<void>
  logout: () => Promise<void>
  refresh: () => Promise<void>
  /** Somebody may have signed in on another page of this browser. */
  look: () => Promise<void>
}

const Context = createContext<Session | null>(null)
const again = new Set<(me: Me) => void>()

/** Calls `listener` when somebody has logged in: what waited for a session can be sent. */
export function onLogin(listener: (me: Me) => void): () => void {
  again.add(listener)
  return () => again.delete(listener)
}

/** The token of a login link, which leaves the address at once. */
function takeLink(): string | null {
  const found = /^#login=(.+)$/.exec(location.hash)
  if (!found?.[1]) return null
  history.replaceState(null, '', '/#/')
  return found[1]
}

/** Why the identity provider's sign-in led to nothing, as the address says; it leaves the address at once. */
function takeRefusal(): string | null {
  const found = /^#oidc=([a-z_]+)$/.exec(location.hash)
  if (!found?.[1]) return null
  history.replaceState(null, '', '/#/')
  return found[1]
}

export const refusal = takeRefusal()

// Taken when the module loads, once: what renders twice must not use the link twice.
const link = takeLink()
let opening: Promise<Me> | null = null

/** Whose session it is: the one that the login link opens, or the one that is there. */
function open(): Promise<Me> {
  opening ??= link
    ? post<Me>('/v1/session/link', { token: link }, { quiet: true })
    : get<Me>('/v1/me', {}, { quiet: true })
  return opening
}

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<State>({ is: 'starting' })
  const queries = useQueryClient()

  const enter = useCallback(
    (me: Me) => {
      setState((before) => {
        if (before.is === 'expired' && before.me.subject !== me.subject) queries.clear()
        return { is: 'in', me }
      })
      again.forEach((listener) => listener(me))
      void queries.invalidateQueries()
    },
    [queries],
  )

  useEffect(() => {
    open().then(enter, (error: Error) => {
      const expected = !link && error instanceof Problem && error.status === 401
      setState({ is: 'out', trouble: expected ? null : error })
    })
  }, [enter])

  useEffect(
    () => onUnauthenticated(() => setState((now) => (now.is === 'in' ? { is: 'expired', me: now.me } : now))),
    [],
  )

  const session = useMemo<Session>(
    () => ({
      state,
      may: (permission) =>
        'me' in state && (permission === null || state.me.permissions.includes(permission)),
      login: async (username, password) =>
        enter(await post<Me>('/v1/session', { username, password }, { quiet: true })),
      logout: async () => {
        await call('DELETE', '/v1/session', undefined, { quiet: true }).catch(() => undefined)
        queries.clear()
        location.assign('/')
      },
      look: async () => {
        const me = await get<Me>('/v1/me', {}, { quiet: true }).catch(() => null)
        if (me) enter(me)
      },
      refresh: async () => setState({ is: 'in', me: await get<Me>('/v1/me') }),
    }),
    [state, enter, queries],
  )
  return <Context value={session}>{children}</Context>
}

export function useSession(): Session {
  const session = useContext(Context)
  if (!session) throw new Error('useSession outside of SessionProvider')
  return session
}

/** Who is logged in; only for what is shown to those who are. */
export function useMe(): Me {
  const { state } = useSession()
  if (!('me' in state)) throw new Error('nobody is logged in')
  return state.me
}
