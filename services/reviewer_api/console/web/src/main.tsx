import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { I18nProvider } from 'react-aria-components'

import { Problem } from './api/client'
import { LoginPage } from './app/Login'
import { SessionProvider, useSession } from './app/session'
import { Shell, useDocument } from './app/Shell'
import { useLanguage } from './i18n'
import { Skeleton } from './ui'

const queries = new QueryClient({
  defaultOptions: {
    // What the server refuses it refuses again; only a missing answer and an overloaded server are worth another try.
    queries: {
      retry: (failures, error) => failures < 2 && !(error instanceof Problem && error.status < 500),
      staleTime: 5_000,
    },
  },
})

function App() {
  useDocument()
  const { state } = useSession()
  if (state.is === 'starting') return <div className="boot"><Skeleton lines={3} /></div>
  if (state.is === 'out') return <LoginPage trouble={state.trouble} />
  return <Shell />
}

function Root() {
  return (
    <I18nProvider locale={useLanguage()}>
      <App />
    </I18nProvider>
  )
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <SessionProvider>
        <Root />
      </SessionProvider>
    </QueryClientProvider>
  </StrictMode>,
)
