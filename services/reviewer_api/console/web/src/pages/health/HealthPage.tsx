import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'

import { queuesQuery, statsQuery } from '../../api/queries'
import type { Quality, Stats } from '../../api/types'
import { useSession } from '../../app/session'
import { messages, number, percent, span } from '../../i18n'
import { Card, Chart, Choice, ErrorState, Facts, PageHead, Skeleton, Table } from '../../ui'
import { Share, useSideWords, WithQuality } from '../figures'

const useMessages = messages({
  en: {
    title: 'Health', lead: 'Whether the system does its work, and how often it is wrong.', since: 'Show', day: '24 hours', week: '7 days', month: '30 days',
    rates: 'Automatic decisions, share of all', approved: 'Approved automatically', rejected: 'Rejected automatically', flow: 'Asked of people, and judged', asked: 'Asked', judged: 'Judged',
    all: 'Decisions', automatic: 'Automatic', oldest: 'Oldest waiting', waiting: 'Waiting', overdue: 'Overdue', errors: 'How often automatic decisions are wrong', side: 'Decision', state: 'State',
    wrong: 'Wrong, by audits', labels: 'How far people agree', label: 'Label', common: 'How common', agreement: 'Agreement (alpha)', overturned: 'Audits that people decided otherwise',
  },
  de: {
    title: 'Zustand', lead: 'Ob das System seine Arbeit tut, und wie oft es irrt.', since: 'Zeigen', day: '24 Stunden', week: '7 Tage', month: '30 Tage',
    rates: 'Automatische Entscheidungen, Anteil an allen', approved: 'Automatisch zugelassen', rejected: 'Automatisch abgelehnt', flow: 'Menschen gefragt, und beurteilt', asked: 'Gefragt', judged: 'Beurteilt',
    all: 'Entscheidungen', automatic: 'Automatisch', oldest: 'Wartet am längsten', waiting: 'Wartet', overdue: 'Überfällig', errors: 'Wie oft automatische Entscheidungen falsch sind', side: 'Entscheidung', state: 'Stand',
    wrong: 'Falsch, nach Stichproben', labels: 'Wie sehr Menschen übereinstimmen', label: 'Kategorie', common: 'Wie häufig', agreement: 'Übereinstimmung (Alpha)', overturned: 'Stichproben, die Menschen anders entschieden',
  },
  es: {
    title: 'Salud', lead: 'Si el sistema hace su trabajo y con qué frecuencia se equivoca.', since: 'Mostrar', day: '24 horas', week: '7 días', month: '30 días',
    rates: 'Decisiones automáticas, proporción del total', approved: 'Aprobadas automáticamente', rejected: 'Rechazadas automáticamente', flow: 'Preguntado a personas, y juzgado', asked: 'Preguntado', judged: 'Juzgado',
    all: 'Decisiones', automatic: 'Automáticas', oldest: 'Espera más antigua', waiting: 'En espera', overdue: 'Vencidos', errors: 'Con qué frecuencia yerran las decisiones automáticas', side: 'Decisión', state: 'Estado',
    wrong: 'Erróneas, según auditorías', labels: 'Cuánto coinciden las personas', label: 'Etiqueta', common: 'Frecuencia', agreement: 'Acuerdo (alfa)', overturned: 'Auditorías que las personas decidieron de otro modo',
  },
  ar: {
    title: 'الحالة', lead: 'هل يؤدي النظام عمله، وكم مرة يخطئ.', since: 'عرض', day: '٢٤ ساعة', week: '٧ أيام', month: '٣٠ يومًا',
    rates: 'القرارات الآلية، نسبتها من الكل', approved: 'قُبل آليًا', rejected: 'رُفض آليًا', flow: 'ما سُئل عنه البشر وما بُت فيه', asked: 'سُئل عنه', judged: 'بُت فيه',
    all: 'القرارات', automatic: 'آلية', oldest: 'أطول انتظار', waiting: 'ينتظر', overdue: 'متأخر', errors: 'كم مرة تخطئ القرارات الآلية', side: 'القرار', state: 'الحالة',
    wrong: 'خاطئ، بحسب التدقيق', labels: 'مدى اتفاق الناس', label: 'الوسم', common: 'مدى الشيوع', agreement: 'الاتفاق (ألفا)', overturned: 'تدقيقات قرر فيها الناس خلاف ذلك',
  },
}) // prettier-ignore

const SPANS = { '24': 'day', '168': 'week', '720': 'month' } as const
type Hours = keyof typeof SPANS

/** The figures that an operator and a lead look at in the morning. */
export default function HealthPage() {
  const text = useMessages()
  const [hours, setHours] = useState<Hours>('24')
  const options = (Object.keys(SPANS) as Hours[]).map((each) => [each, text[SPANS[each]]] as const)
  return (
    <>
      <PageHead title={text.title} actions={<Choice<Hours> label={text.since} value={hours} onChange={setHours} options={options} />}>
        {text.lead}
      </PageHead>
      <OverTime hours={hours} />
      <WithQuality>
        {(quality) => (
          <>
            <Errors quality={quality} />
            <Card title={text.labels}>
              <Table
                caption={text.labels}
                rows={quality.labels}
                rowKey={(label) => label.label}
                columns={[
                  { name: text.label, cell: (label) => label.label },
                  { name: text.common, cell: (label) => <Share of={label.prevalence} /> },
                  { name: text.agreement, cell: (label) => (label.agreement === null ? '–' : number(label.agreement, { maximumFractionDigits: 2 })), isNumber: true },
                ]} // prettier-ignore
              />
            </Card>
          </>
        )}
      </WithQuality>
    </>
  )
}

function Errors({ quality }: { quality: Quality }) {
  const text = useMessages()
  const words = useSideWords()
  return (
    <Card title={text.errors}>
      <Table
        caption={text.errors}
        rows={quality.sides}
        rowKey={(side) => `${side.outcome}/${side.label}`}
        columns={[
          { name: text.side, cell: words.name },
          { name: text.state, cell: words.standing },
          { name: text.wrong, cell: (side) => <Share of={side.wrong} /> },
        ]}
      />
      <p>{text.overturned}: <Share of={quality.overturned} /></p>
    </Card>
  )
}

function OverTime({ hours }: { hours: Hours }) {
  const text = useMessages()
  const stats = useQuery(statsQuery(Number(hours)))
  const { may } = useSession()
  const queues = useQuery({ ...queuesQuery, enabled: may('review') })
  if (stats.error) return <ErrorState error={stats.error} onRetry={() => void stats.refetch()} />
  if (!stats.data) return <Skeleton lines={6} />
  const { buckets } = stats.data
  const at = buckets.map((bucket) => bucket.at)
  const all = (bucket: Stats['buckets'][number]): number =>
    bucket.approved_automatically + bucket.rejected_automatically + bucket.approved_by_people + bucket.rejected_by_people
  const share = (count: number, of: number) => (of ? count / of : null)
  const total = buckets.reduce((sum, bucket) => sum + all(bucket), 0)
  const automatic = buckets.reduce((sum, each) => sum + each.approved_automatically + each.rejected_automatically, 0)
  const open = queues.data?.queues ?? []
  const ages = open.flatMap((queue) => queue.oldest_pending_seconds ?? [])
  return (
    <>
      <Facts
        of={[
          { name: text.all, value: number(total) },
          { name: text.automatic, value: total ? percent(automatic / total) : '–' },
          { name: text.waiting, value: number(open.reduce((sum, queue) => sum + queue.pending, 0)) },
          { name: text.oldest, value: ages.length ? span(Math.max(...ages)) : '–' },
          { name: text.overdue, value: number(open.reduce((sum, queue) => sum + queue.overdue, 0)) },
        ]}
      />
      <div className="pair">
        <Card title={text.rates}>
          <Chart
            title={text.rates}
            at={at}
            format={(value) => percent(value, 0)}
            series={[
              { name: text.approved, color: 'var(--chart-3)', values: buckets.map((each) => share(each.approved_automatically, all(each))) },
              { name: text.rejected, color: 'var(--chart-2)', values: buckets.map((each) => share(each.rejected_automatically, all(each))), dashed: true },
            ]} // prettier-ignore
          />
        </Card>
        <Card title={text.flow}>
          <Chart
            title={text.flow}
            at={at}
            series={[
              { name: text.asked, color: 'var(--chart-1)', values: buckets.map((each) => each.requested) },
              { name: text.judged, color: 'var(--chart-2)', values: buckets.map((each) => each.judged), dashed: true },
            ]}
          />
        </Card>
      </div>
    </>
  )
}
