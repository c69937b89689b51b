import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { call, post } from '../api/client'
import { textsQuery } from '../api/queries'
import { useShellMessages } from '../app/messages'
import { messages } from '../i18n'
import { Button, Dialog, HostileText, toast, wordsOf } from '../ui'

const useMessages = messages({
  en: {
    saved: 'Saved texts', save: 'Save this text', kept: 'The text is saved.', none: 'Write a note or a reason, and save it here to use it again.', use: 'Use', remove: 'Remove', own: 'Only you see them.',
  },
  de: {
    saved: 'Gespeicherte Texte', save: 'Diesen Text speichern', kept: 'Der Text ist gespeichert.', none: 'Schreiben Sie eine Notiz oder einen Grund, und speichern Sie den Text hier, um ihn wieder zu verwenden.', use: 'Verwenden', remove: 'Entfernen', own: 'Nur Sie sehen sie.',
  },
  es: {
    saved: 'Textos guardados', save: 'Guardar este texto', kept: 'El texto está guardado.', none: 'Escriba una nota o un motivo y guárdelo aquí para volver a usarlo.', use: 'Usar', remove: 'Quitar', own: 'Solo los ve usted.',
  },
  ar: {
    saved: 'نصوص محفوظة', save: 'حفظ هذا النص', kept: 'حُفظ النص.', none: 'اكتب ملاحظة أو سببًا، ثم احفظه هنا لتستخدمه ثانية.', use: 'استخدام', remove: 'إزالة', own: 'لا يراها غيرك.',
  },
}) // prettier-ignore

interface Props {
  /** What is written in the field now. */
  value: string
  onUse: (text: string) => void
}

/** Beside a field for a note or a reason: what this person has saved, and a way to save what is written. */
export function SavedTexts({ value, onUse }: Props) {
  const text = useMessages()
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button kind="quiet" onPress={() => setOpen(true)}>{text.saved}</Button>
      {open ? (
        <Texts
          value={value}
          onClose={() => setOpen(false)}
          onUse={(chosen) => {
            setOpen(false)
            onUse(chosen)
          }}
        />
      ) : null}
    </>
  )
}

function Texts({ value, onUse, onClose }: Props & { onClose: () => void }) {
  const text = useMessages()
  const shell = useShellMessages()
  const cache = useQueryClient()
  const saved = useQuery(textsQuery)
  const change = async (work: Promise<unknown>, done?: string) => {
    try {
      await work
      if (done) toast({ text: done, kind: 'good' })
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
    await cache.invalidateQueries(textsQuery)
  }
  const texts = saved.data?.texts ?? []
  const written = value.trim()
  return (
    <Dialog title={text.saved} onClose={onClose}>
      <p className="muted">{text.own}</p>
      {texts.length === 0 ? <p>{text.none}</p> : null}
      <ul className="bulk" aria-label={text.saved}>
        {texts.map((each) => (
          <li key={each.text_id} className="saved">
            <HostileText>{each.text}</HostileText>
            <span>
              <Button label={`${text.use}: ${each.text}`} onPress={() => onUse(each.text)}>{text.use}</Button>
              <Button
                kind="quiet"
                label={`${text.remove}: ${each.text}`}
                onPress={() => void change(call('DELETE', `/v1/review/texts/${each.text_id}`))}
              >
                {text.remove}
              </Button>
            </span>
          </li>
        ))}
      </ul>
      {written && !texts.some((each) => each.text === written) ? (
        <Button kind="primary" onPress={() => void change(post('/v1/review/texts', { text: written }), text.kept)}>
          {text.save}
        </Button>
      ) : null}
    </Dialog>
  )
}
