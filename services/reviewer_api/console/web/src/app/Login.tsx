import { useState, type FormEvent } from 'react'

import { Problem } from '../api/client'
import { span } from '../i18n'
import { Button, Dialog, Field, useWords } from '../ui'
import { useShellMessages } from './messages'
import { ProviderLink } from './Provider'
import { refusal, useSession } from './session'

/** The form: it says what is wrong beside the fields, and keeps the name. */
function LoginForm({ trouble }: { trouble?: Error | null }) {
  const text = useShellMessages()
  const { login } = useSession()
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const [error, setError] = useState<Error | null>(trouble ?? null)
  const [busy, setBusy] = useState(false)
  const words = useWords(error)

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (busy) return
    setBusy(true)
    try {
      await login(username, password)
    } catch (problem) {
      setError(problem as Error)
      setPassword('')
      setBusy(false)
    }
  }
  const told = () => {
    if (!(error instanceof Problem)) return words
    if (error.status === 401) return error === trouble ? text.linkFailed : text.wrong
    if (error.status === 429) return text.wait(span(error.retryAfter ?? 60))
    return words
  }
  return (
    <form onSubmit={submit} className="stack">
      {error ? (
        <p className="notice bad" role="alert">
          {told()}
        </p>
      ) : null}
      <Field label={text.username} value={username} onChange={setUsername} autoComplete="username" isRequired autoFocus />
      <Field
        label={text.password}
        value={password}
        onChange={setPassword}
        type="password"
        autoComplete="current-password"
        isRequired
      />
      <Button kind="primary" type="submit" isPending={busy}>
        {text.login}
      </Button>
    </form>
  )
}

/** The page of those who are not logged in. */
export function LoginPage({ trouble }: { trouble: Error | null }) {
  const text = useShellMessages()
  return (
    <main className="login">
      <div className="card">
        <p className="brand" aria-hidden="true">
          Second Look
        </p>
        <h1>{text.login}</h1>
        <p className="muted">{text.loginHint}</p>
        {refusal ? <p className="notice bad" role="alert">{text.refused(refusal)}</p> : null}
        <ProviderLink />
        <LoginForm trouble={trouble} />
      </div>
    </main>
  )
}

/** Over the page when the session ends in the middle: the work beneath stays as it is. */
export function LoginDialog() {
  const text = useShellMessages()
  return (
    <Dialog title={text.expired}>
      <div className="stack">
        <p>{text.expiredHint}</p>
        <ProviderLink aside />
        <LoginForm />
      </div>
    </Dialog>
  )
}
