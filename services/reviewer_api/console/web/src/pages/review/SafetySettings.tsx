import { settings, useSettings, type Settings } from '../../app/settings'
import { messages } from '../../i18n'
import { Check, Choice, Field } from '../../ui'

const useMessages = messages({
  en: {
    here: 'These settings stay in this browser.', veil: 'Cover texts until I show them', always: 'Always', never: 'Never',
    severe: 'When the author has severe labels', from: 'A label is severe from severity', highest: 'The highest of the policy',
    breaks: 'Offer a break after minutes', row: 'Offer a break after severe items in a row', none: '0: never',
    keys: 'Shortcuts of a single key',
  },
  de: {
    here: 'Diese Einstellungen bleiben in diesem Browser.', veil: 'Texte verdecken, bis ich sie zeige', always: 'Immer', never: 'Nie',
    severe: 'Wenn es von der Person schwere Merkmale gibt', from: 'Ein Merkmal ist schwer ab Schwere', highest: 'Die höchste der Regeln',
    breaks: 'Pause anbieten nach Minuten', row: 'Pause anbieten nach so vielen schweren Einträgen hintereinander', none: '0: nie',
    keys: 'Kürzel aus einer einzelnen Taste',
  },
  es: {
    here: 'Estos ajustes quedan en este navegador.', veil: 'Cubrir los textos hasta que los muestre', always: 'Siempre', never: 'Nunca',
    severe: 'Cuando el autor tiene etiquetas graves', from: 'Una etiqueta es grave desde la gravedad', highest: 'La más alta de la política',
    breaks: 'Ofrecer un descanso tras minutos', row: 'Ofrecer un descanso tras tantos elementos graves seguidos', none: '0: nunca',
    keys: 'Atajos de una sola tecla',
  },
  ar: {
    here: 'تبقى هذه الإعدادات في هذا المتصفح.', veil: 'غطِّ النصوص حتى أظهرها', always: 'دائمًا', never: 'أبدًا',
    severe: 'إذا كان للكاتب وسوم خطيرة', from: 'الوسم خطير ابتداءً من الخطورة', highest: 'الأعلى في السياسة',
    breaks: 'اعرض استراحة بعد دقائق', row: 'اعرض استراحة بعد عدد من العناصر الخطيرة المتتالية', none: '0: أبدًا',
    keys: 'اختصارات من مفتاح واحد',
  },
})

const SEVERITIES = ['1', '2', '3', '4', '5']

/** What protects the person: covered texts, breaks, and keys that cannot be pressed by accident. */
export function SafetySettings() {
  const text = useMessages()
  const now = useSettings()
  const minutes = (value: string): number => Math.max(0, Math.min(999, Math.round(Number(value)) || 0))
  return (
    <div className="stack">
      <Choice<Settings['veil']>
        label={text.veil}
        value={now.veil}
        onChange={(veil) => settings.set({ veil })}
        options={[['always', text.always], ['severe', text.severe], ['never', text.never]]}
      />
      <Choice
        label={text.from}
        value={now.severeFrom === null ? '' : String(now.severeFrom)}
        onChange={(value) => settings.set({ severeFrom: value ? Number(value) : null })}
        options={[['', text.highest], ...SEVERITIES.map((each) => [each, each] as const)]}
      />
      <Field
        label={text.breaks}
        hint={text.none}
        type="number"
        value={String(now.breakEvery)}
        onChange={(value) => settings.set({ breakEvery: minutes(value) })}
      />
      <Field
        label={text.row}
        hint={text.none}
        type="number"
        value={String(now.severeInARow)}
        onChange={(value) => settings.set({ severeInARow: minutes(value) })}
      />
      <Check label={text.keys} value={now.keys} onChange={(keys) => settings.set({ keys })} />
      <p className="muted">{text.here}</p>
    </div>
  )
}
