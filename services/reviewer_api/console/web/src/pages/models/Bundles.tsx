import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { NoAnswer, operate } from '../../api/operations'
import type { MeasuredBundle } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { useSession } from '../../app/session'
import { messages, relative } from '../../i18n'
import { Badge, Button, Card, Dialog, Table, toast, wordsOf, type Tone } from '../../ui'
import { useWordsOfPages } from '../words'

const useMessages = messages({
  en: {
    bundles: 'Bundles', bundle: 'Bundle', stage: 'Stage', made: 'Made', promoted: 'Promoted', why: 'What the gate said', promote: 'Promote', back: 'Go back to the bundle before',
    ask: (version: string) => `Make ${version} active?`, askBack: 'Go back to the bundle that was active before?',
    hint: 'It decides everything from then on, also if the gate refused it. What it is not certified for goes to people.', gone: 'files removed',
    active: 'active', canary: 'canary', shadow: 'shadow', waiting: 'waits for evidence', stored: 'stored', refused: 'refused', retired: 'retired', noAnswer: 'The trainer does not answer. Is it running?',
  },
  de: {
    bundles: 'Bündel', bundle: 'Bündel', stage: 'Stufe', made: 'Erstellt', promoted: 'Eingesetzt', why: 'Was die Prüfung sagte', promote: 'Einsetzen', back: 'Zum Bündel davor zurück',
    ask: (version) => `${version} einsetzen?`, askBack: 'Zu dem Bündel zurück, das davor aktiv war?',
    hint: 'Es entscheidet von da an alles, auch wenn die Prüfung es ablehnte. Wofür es nicht zertifiziert ist, geht an Menschen.', gone: 'Dateien entfernt',
    active: 'aktiv', canary: 'Vorläufer', shadow: 'Schatten', waiting: 'wartet auf Belege', stored: 'abgelegt', refused: 'abgelehnt', retired: 'abgelöst', noAnswer: 'Der Trainer antwortet nicht. Läuft er?',
  },
  es: {
    bundles: 'Paquetes', bundle: 'Paquete', stage: 'Etapa', made: 'Creado', promoted: 'Puesto en uso', why: 'Lo que dijo el control', promote: 'Poner en uso', back: 'Volver al paquete anterior',
    ask: (version) => `¿Poner ${version} en uso?`, askBack: '¿Volver al paquete que estaba activo antes?',
    hint: 'Desde entonces lo decide todo, aunque el control lo rechazara. Lo que no tiene certificado va a personas.', gone: 'archivos eliminados',
    active: 'activo', canary: 'de prueba', shadow: 'en la sombra', waiting: 'espera pruebas', stored: 'guardado', refused: 'rechazado', retired: 'retirado', noAnswer: 'El entrenador no responde. ¿Está en marcha?',
  },
  ar: {
    bundles: 'الحزم', bundle: 'الحزمة', stage: 'المرحلة', made: 'أُنشئت', promoted: 'فُعّلت', why: 'ما قاله الفحص', promote: 'تفعيل', back: 'العودة إلى الحزمة السابقة',
    ask: (version) => `تفعيل ${version}؟`, askBack: 'العودة إلى الحزمة التي كانت فعالة من قبل؟',
    hint: 'ستقرر كل شيء من الآن، حتى لو رفضها الفحص. ما لا شهادة لها فيه يذهب إلى البشر.', gone: 'حُذفت الملفات',
    active: 'فعالة', canary: 'تجريبية', shadow: 'في الظل', waiting: 'تنتظر أدلة', stored: 'محفوظة', refused: 'مرفوضة', retired: 'متقاعدة', noAnswer: 'المدرّب لا يجيب. هل يعمل؟',
  },
}) // prettier-ignore

const TONES: Record<string, Tone> = { active: 'good', canary: 'info', shadow: 'info', waiting: 'info', refused: 'bad' }
type Stage = 'active' | 'canary' | 'shadow' | 'waiting' | 'stored' | 'refused' | 'retired'

/** What can be put in force, and the way back. */
export function Bundles({ bundles }: { bundles: readonly MeasuredBundle[] }) {
  const text = useMessages()
  const words = useWordsOfPages()
  const shell = useShellMessages()
  const cache = useQueryClient()
  const { may } = useSession()
  const [asking, ask] = useState<{ path: string; title: string; action: string } | null>(null)
  const [busy, setBusy] = useState(false)
  const doIt = async (path: string) => {
    setBusy(true)
    try {
      const { ok, detail } = await operate(path)
      toast({ text: detail ?? '', kind: ok ? 'good' : 'bad', seconds: 12 })
      // The figures follow when the trainer has measured again.
      setTimeout(() => void cache.invalidateQueries({ queryKey: ['quality'] }), 3_000)
    } catch (error) {
      toast({ text: error instanceof NoAnswer ? text.noAnswer : wordsOf(error, shell), kind: 'bad' })
    }
    setBusy(false)
    ask(null)
  }
  const manages = may('models:promote')
  const canGoBack = manages && bundles.some(({ stage, kept }) => stage === 'retired' && kept)
  return (
    <Card
      title={text.bundles}
      actions={canGoBack ? <Button onPress={() => ask({ path: '/v1/bundles/rollback', title: text.askBack, action: text.back })}>{text.back}</Button> : null}
    >
      <Table
        caption={text.bundles}
        rows={bundles}
        rowKey={(bundle) => bundle.bundle_version}
        columns={[
          { name: text.bundle, cell: (bundle) => bundle.bundle_version },
          { name: text.stage, cell: ({ stage }) => <Badge tone={TONES[stage] ?? 'neutral'}>{text[stage as Stage] ?? stage}</Badge> },
          { name: text.made, cell: (bundle) => relative(bundle.created_at) },
          { name: text.promoted, cell: (bundle) => (bundle.promoted_at ? relative(bundle.promoted_at) : '–') },
          { name: text.why, cell: (bundle) => bundle.reasons?.join(' ') || '–' },
          {
            name: text.promote,
            cell: ({ bundle_version: version, stage, kept }) =>
              !kept ? (
                <span className="muted">{text.gone}</span>
              ) : manages && stage !== 'active' ? (
                <Button
                  label={`${text.promote}: ${version}`}
                  onPress={() => ask({ path: `/v1/bundles/${encodeURIComponent(version)}/promote`, title: text.ask(version), action: text.promote })}
                >
                  {text.promote}
                </Button>
              ) : null,
          },
        ]}
      />
      {asking ? (
        <Dialog
          title={asking.title}
          onClose={() => ask(null)}
          footer={
            <>
              <Button onPress={() => ask(null)}>{words.cancel}</Button>
              <Button kind="danger" isPending={busy} onPress={() => void doIt(asking.path)}>{asking.action}</Button>
            </>
          }
        >
          <p>{text.hint}</p>
        </Dialog>
      ) : null}
    </Card>
  )
}
