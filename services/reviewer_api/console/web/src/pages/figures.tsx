/** What pages about quality share: its figures, and how a share is shown. */
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'

import { get, Problem } from '../api/client'
import type { MeasuredShare, MeasuredSide, Quality } from '../api/types'
import { messages, number, percent } from '../i18n'
import { Badge, EmptyState, ErrorState, Skeleton, type Tone } from '../ui'

const useMessages = messages({
  en: {
    approve: 'approve', reject: (label: string) => `reject ${label}`, certified: 'Certified', fixed: 'Set by hand', switched_off: 'Switched off', uncertified: 'Off',
    none: 'Nothing was measured yet', noneHint: 'The trainer measures once people have judged items. Until then people decide what the model is not sure of.',
    of: (k: string, n: string) => `${k} of ${n}`, between: (low: string, high: string) => `between ${low} and ${high}`,
  },
  de: {
    approve: 'zulassen', reject: (label) => `${label} ablehnen`, certified: 'Zertifiziert', fixed: 'Von Hand gesetzt', switched_off: 'Abgeschaltet', uncertified: 'Aus',
    none: 'Noch wurde nichts gemessen', noneHint: 'Der Trainer misst, sobald Menschen etwas beurteilt haben. Bis dahin entscheiden Menschen, wo das Modell unsicher ist.',
    of: (k, n) => `${k} von ${n}`, between: (low, high) => `zwischen ${low} und ${high}`,
  },
  es: {
    approve: 'aprobar', reject: (label) => `rechazar ${label}`, certified: 'Certificado', fixed: 'Fijado a mano', switched_off: 'Apagado', uncertified: 'Inactivo',
    none: 'Aún no se ha medido nada', noneHint: 'El entrenador mide cuando las personas han juzgado elementos. Hasta entonces deciden personas donde el modelo duda.',
    of: (k, n) => `${k} de ${n}`, between: (low, high) => `entre ${low} y ${high}`,
  },
  ar: {
    approve: 'قبول', reject: (label) => `رفض ${label}`, certified: 'معتمد', fixed: 'محدد يدويًا', switched_off: 'أُوقف', uncertified: 'غير مفعّل',
    none: 'لم يُقس شيء بعد', noneHint: 'يقيس المدرّب بعد أن يبت الناس في عناصر. حتى ذلك الحين يقرر البشر ما لا يتأكد منه النموذج.',
    of: (k, n) => `${k} من ${n}`, between: (low, high) => `بين ${low} و ${high}`,
  },
}) // prettier-ignore

const TONES: Record<MeasuredSide['standing'], Tone> = {
  certified: 'good', fixed: 'warn', switched_off: 'bad', uncertified: 'neutral',
} // prettier-ignore

/** The newest figures, or what stands in their place. */
export function WithQuality({ children }: { children: (quality: Quality) => ReactNode }) {
  const text = useMessages()
  const quality = useQuery({
    queryKey: ['quality'],
    queryFn: ({ signal }) => get<Quality>('/v1/quality', {}, { signal }),
    refetchInterval: 30_000,
  })
  if (quality.data) return children(quality.data)
  if (quality.error instanceof Problem && quality.error.status === 404) {
    return <EmptyState title={text.none}>{text.noneHint}</EmptyState>
  }
  return quality.error ? <ErrorState error={quality.error} onRetry={() => void quality.refetch()} /> : <Skeleton lines={8} />
}

/** `reject spam`, and how it stands. */
export function useSideWords() {
  const text = useMessages()
  return {
    name: (side: MeasuredSide) => (side.outcome === 'approve' ? text.approve : text.reject(side.label ?? '')),
    standing: (side: MeasuredSide) => <Badge tone={TONES[side.standing]}>{text[side.standing]}</Badge>,
  }
}

/** A share with its interval. */
export function Share({ of }: { of: MeasuredShare }) {
  const text = useMessages()
  if (of.value === null) return <span className="muted">–</span>
  return (
    <span>
      {percent(of.value, 2)} <small className="muted">{text.of(number(of.k), number(of.n))}, {text.between(percent(of.low, 2), percent(of.high, 2))}</small>
    </span>
  )
}
