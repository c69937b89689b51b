import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'

import { get } from '../api/client'
import type { Ways } from '../api/types'
import { useShellMessages } from './messages'
import { useSession } from './session'

/** The way to the identity provider, where there is one. `aside`: in another page, so that this one stays as it is. */
export function ProviderLink({ aside = false }: { aside?: boolean }) {
  const text = useShellMessages()
  const { look } = useSession()
  const { data } = useQuery({ queryKey: ['ways'], queryFn: () => get<Ways>('/v1/session/ways', {}, { quiet: true }), staleTime: Infinity })
  useEffect(() => {
    if (!aside) return
    const back = () => void look()
    addEventListener('focus', back)
    return () => removeEventListener('focus', back)
  }, [aside, look])
  if (!data?.oidc) return null
  const page = aside ? '' : location.hash.replace(/^#\/?/, '')
  return (
    <a
      className="button plain"
      href={`/v1/session/oidc?goes_to=${encodeURIComponent(page)}`}
      {...(aside ? { target: '_blank', rel: 'noopener' } : {})}
    >
      {text.loginAt(data.oidc)}
    </a>
  )
}
