import { useState, type FormEvent } from 'react'

import { post } from '../../api/client'
import { useMe, useSession } from '../../app/session'
import { messages, time } from '../../i18n'
import { Button, Card, Facts, Field, PageHead, toast, useWords } from '../../ui'
import { SafetySettings } from '../review/SafetySettings'

const useMessages = messages({
  en: {
    title: 'You', name: 'Name', role: 'Role', subject: 'Your pseudonym', ends: 'Session ends', password: 'Password', current: 'Password now', next: 'New password',
    hint: '12 characters or more. Your other sessions end.', set: 'Set the password', done: 'The password is set.', safety: 'What protects you', key: 'An API key',
  },
  de: {
    title: 'Sie', name: 'Name', role: 'Rolle', subject: 'Ihr Pseudonym', ends: 'Sitzung endet', password: 'Passwort', current: 'Bisheriges Passwort', next: 'Neues Passwort',
    hint: '12 Zeichen oder mehr. Ihre anderen Sitzungen enden.', set: 'Passwort setzen', done: 'Das Passwort ist gesetzt.', safety: 'Was Sie schützt', key: 'Ein API-Schlüssel',
  },
  es: {
    title: 'Usted', name: 'Nombre', role: 'Función', subject: 'Su seudónimo', ends: 'La sesión acaba', password: 'Contraseña', current: 'Contraseña actual', next: 'Contraseña nueva',
    hint: '12 caracteres o más. Sus otras sesiones terminan.', set: 'Guardar la contraseña', done: 'La contraseña está guardada.', safety: 'Lo que le protege', key: 'Una clave de API',
  },
  ar: {
    title: 'أنت', name: 'الاسم', role: 'الدور', subject: 'اسمك المستعار', ends: 'تنتهي الجلسة', password: 'كلمة المرور', current: 'كلمة المرور الحالية', next: 'كلمة مرور جديدة',
    hint: '١٢ حرفًا أو أكثر. تنتهي جلساتك الأخرى.', set: 'عيّن كلمة المرور', done: 'عُيّنت كلمة المرور.', safety: 'ما يحميك', key: 'مفتاح API',
  },
}) // prettier-ignore

/** Who is signed in, their password, and what protects them. */
export default function MePage() {
  const text = useMessages()
  const me = useMe()
  return (
    <>
      <PageHead title={text.title} />
      <Facts
        of={[
          { name: text.name, value: me.name ?? text.key },
          { name: text.role, value: me.role ?? '–' },
          { name: text.subject, value: <code>{me.subject}</code> },
          { name: text.ends, value: me.session_ends_at ? time(me.session_ends_at) : '–' },
        ]}
      />
      <Password />
      <Card title={text.safety}>
        <SafetySettings />
      </Card>
    </>
  )
}

function Password() {
  const text = useMessages()
  const me = useMe()
  const { refresh } = useSession()
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const [error, setError] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const told = useWords(error)
  const send = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      await post('/v1/session/password', { new: next, ...(me.password_set ? { current } : {}) })
      setCurrent('')
      setNext('')
      setError(null)
      toast({ text: text.done, kind: 'good' })
      await refresh()
    } catch (problem) {
      setError(problem)
    }
    setBusy(false)
  }
  return (
    <Card title={text.password}>
      <form className="stack narrow" onSubmit={(event) => void send(event)}>
        {error ? <p className="notice bad" role="alert">{told}</p> : null}
        {me.password_set ? (
          <Field label={text.current} type="password" autoComplete="current-password" value={current} onChange={setCurrent} isRequired />
        ) : null}
        <Field label={text.next} hint={text.hint} type="password" autoComplete="new-password" value={next} onChange={setNext} isRequired />
        <div>
          <Button kind="primary" type="submit" isPending={busy} isDisabled={next.length < 12}>{text.set}</Button>
        </div>
      </form>
    </Card>
  )
}
