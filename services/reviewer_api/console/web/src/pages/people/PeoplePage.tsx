import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { get, post } from '../../api/client'
import type { HeldItems, Quality, Reviewers, TaskState } from '../../api/types'
import { useShellMessages } from '../../app/messages'
import { to } from '../../app/router'
import { useSession } from '../../app/session'
import { messages, number, percent, relative } from '../../i18n'
import { Button, Card, Choice, EmptyState, ErrorState, HostileText, PageHead, Skeleton, Table, toast, wordsOf } from '../../ui'
import { useWordsOfPages } from '../words'

const useMessages = messages({
  en: {
    title: 'People', lead: 'What reviewers do, by pseudonym.', since: 'In the last', hour: 'hour', day: 'day', week: 'week', month: '30 days',
    reviewer: 'Reviewer', judged: 'Judged', undone: 'Undone', released: 'Given back', skipped: 'Skipped', escalated: 'Escalated',
    expired: 'Ran out', agrees: 'Agrees with others, of', seen: 'Last seen', holds: 'Holds', held: 'In hands now', until: 'Until', take: 'Take back', taken: 'The item was taken back.',
    nobody: 'Nobody has reviewed anything yet', nobodyHint: 'Make accounts for moderators under Admin, and send them their links.', none: 'Nobody holds an item.',
  },
  de: {
    title: 'Menschen', lead: 'Was Prüfende tun, unter Pseudonym.', since: 'In den letzten', hour: 'Stunde', day: 'Tag', week: 'Woche', month: '30 Tage',
    reviewer: 'Prüfende', judged: 'Beurteilt', undone: 'Zurückgenommen', released: 'Zurückgegeben', skipped: 'Übersprungen', escalated: 'Weitergegeben',
    expired: 'Abgelaufen', agrees: 'Einig mit anderen, von', seen: 'Zuletzt da', holds: 'Hat', held: 'Gerade in Händen', until: 'Bis', take: 'Zurücknehmen', taken: 'Das Element wurde zurückgenommen.',
    nobody: 'Noch hat niemand etwas geprüft', nobodyHint: 'Legen Sie unter Verwaltung Konten an und verschicken Sie die Links.', none: 'Niemand hat etwas in Händen.',
  },
  es: {
    title: 'Personas', lead: 'Lo que hacen quienes revisan, por seudónimo.', since: 'En', hour: 'la última hora', day: 'el último día', week: 'la última semana', month: 'los últimos 30 días',
    reviewer: 'Persona', judged: 'Juzgados', undone: 'Deshechos', released: 'Devueltos', skipped: 'Saltados', escalated: 'Escalados',
    expired: 'Vencidos', agrees: 'De acuerdo con otros, de', seen: 'Última vez', holds: 'Tiene', held: 'Ahora en manos', until: 'Hasta', take: 'Recuperar', taken: 'El elemento se ha recuperado.',
    nobody: 'Nadie ha revisado nada aún', nobodyHint: 'Cree cuentas en Administración y envíe los enlaces.', none: 'Nadie tiene ningún elemento.',
  },
  ar: {
    title: 'الأشخاص', lead: 'ما يفعله المراجعون، بأسماء مستعارة.', since: 'خلال', hour: 'الساعة الأخيرة', day: 'اليوم الأخير', week: 'الأسبوع الأخير', month: '٣٠ يومًا',
    reviewer: 'المراجع', judged: 'بُت فيه', undone: 'تُراجع عنه', released: 'أُعيد', skipped: 'تُخطي', escalated: 'صُعّد',
    expired: 'انتهت مهلته', agrees: 'يوافق الآخرين، من', seen: 'آخر ظهور', holds: 'لديه', held: 'قيد العمل الآن', until: 'حتى', take: 'استرجاع', taken: 'استُرجع العنصر.',
    nobody: 'لم يراجع أحد شيئًا بعد', nobodyHint: 'أنشئ حسابات للمراجعين في الإدارة وأرسل إليهم روابطهم.', none: 'لا أحد لديه عنصر.',
  },
}) // prettier-ignore

const HOURS = { '1': 'hour', '24': 'day', '168': 'week', '720': 'month' } as const
type Hours = keyof typeof HOURS

/** For leads: throughput, what was given back, and who holds what. */
export default function PeoplePage() {
  const text = useMessages()
  const [hours, setHours] = useState<Hours>('24')
  const { may } = useSession()
  const quality = useQuery({
    queryKey: ['quality'],
    queryFn: ({ signal }) => get<Quality>('/v1/quality', {}, { signal }),
    enabled: may('quality:read'),
  })
  const agreement = new Map(quality.data?.reviewers.map((each) => [each.reviewer, each]))
  const options = (Object.keys(HOURS) as Hours[]).map((each) => [each, text[HOURS[each]]] as const)
  const people = useQuery({
    queryKey: ['reviewers', hours],
    queryFn: ({ signal }) => get<Reviewers>('/v1/review/reviewers', { hours }, { signal }),
  })
  return (
    <>
      <PageHead title={text.title} actions={<Choice<Hours> label={text.since} value={hours} onChange={setHours} options={options} />}>
        {text.lead}
      </PageHead>
      {people.isPending ? (
        <Skeleton lines={6} />
      ) : people.error ? (
        <ErrorState error={people.error} onRetry={() => void people.refetch()} />
      ) : people.data.reviewers.length === 0 ? (
        <EmptyState title={text.nobody}>{text.nobodyHint}</EmptyState>
      ) : (
        <Table
          caption={text.title}
          rows={people.data.reviewers}
          rowKey={(person) => person.reviewer}
          columns={[
            { name: text.reviewer, cell: (person) => person.reviewer },
            ...(['judged', 'undone', 'released', 'skipped', 'escalated', 'expired'] as const).map((what) => ({
              name: text[what],
              cell: (person: Reviewers['reviewers'][number]) => number(person[what]),
              isNumber: true,
            })),
            {
              name: text.agrees,
              cell: (person) => {
                const measured = agreement.get(person.reviewer)
                return measured?.agreement == null ? '–' : `${percent(measured.agreement, 0)} / ${number(measured.n)}`
              },
              isNumber: true,
            },
            { name: text.holds, cell: (person) => number(person.leases), isNumber: true },
            { name: text.seen, cell: (person) => (person.last_seen ? relative(person.last_seen) : '–') },
          ]}
        />
      )}
      <Held />
    </>
  )
}

function Held() {
  const text = useMessages()
  const words = useWordsOfPages()
  const shell = useShellMessages()
  const cache = useQueryClient()
  const held = useQuery({
    queryKey: ['held'],
    queryFn: ({ signal }) => get<HeldItems>('/v1/review/leases/all', {}, { signal }),
    refetchInterval: 15_000,
  })
  const takeBack = async (id: string) => {
    try {
      await post<TaskState>(`/v1/review/tasks/${id}/take-back`)
      toast({ text: text.taken, kind: 'good' })
    } catch (error) {
      toast({ text: wordsOf(error, shell), kind: 'bad' })
    }
    await cache.invalidateQueries({ queryKey: ['held'] })
  }
  return (
    <Card title={text.held}>
      {held.isPending ? (
        <Skeleton />
      ) : held.error ? (
        <ErrorState error={held.error} onRetry={() => void held.refetch()} />
      ) : held.data.leases.length === 0 ? (
        <p className="muted">{text.none}</p>
      ) : (
        <Table
          caption={text.held}
          rows={held.data.leases}
          rowKey={(lease) => lease.task_id}
          columns={[
            { name: text.reviewer, cell: (lease) => lease.reviewer },
            {
              name: words.content,
              cell: (lease) => (
                <a href={to('content', lease.source, lease.content_id)}>
                  <HostileText>{`${lease.source}/${lease.content_id}`}</HostileText>
                </a>
              ),
            },
            { name: words.queue, cell: (lease) => lease.queue },
            { name: text.until, cell: (lease) => relative(lease.lease_expires_at) },
            {
              name: text.take,
              cell: (lease) => (
                <Button label={`${text.take}: ${lease.content_id}`} onPress={() => void takeBack(lease.task_id)}>
                  {text.take}
                </Button>
              ),
            },
          ]}
        />
      )}
    </Card>
  )
}
