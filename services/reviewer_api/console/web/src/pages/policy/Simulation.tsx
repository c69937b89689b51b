import type { Operation } from '../../api/types'
import { messages, number, percent } from '../../i18n'
import { Table } from '../../ui'
import { useWordsOfPages } from '../words'

const useMessages = messages({
  en: {
    title: 'What the newest items would become', was: 'Went to', review: 'People', all: 'All', people: (before: string, after: string) => `Judged by people, audits included: ${before} before, ${after} after.`,
  },
  de: {
    title: 'Was aus den neuesten Inhalten würde', was: 'Ging an', review: 'Menschen', all: 'Alle', people: (before, after) => `Von Menschen beurteilt, mit Prüfungen: ${before} bisher, ${after} danach.`,
  },
  es: {
    title: 'En qué se convertiría lo más nuevo', was: 'Fue a', review: 'Personas', all: 'Todos', people: (before, after) => `Juzgado por personas, con auditorías: ${before} antes, ${after} después.`,
  },
  ar: {
    title: 'إلى ماذا ستؤول أحدث العناصر', was: 'ذهب إلى', review: 'البشر', all: 'الكل', people: (before, after) => `ما يحكم فيه البشر، مع التدقيق: ${before} من قبل، ${after} بعد ذلك.`,
  },
}) // prettier-ignore

const ROUTES = ['approve', 'reject', 'review'] as const
type Route = (typeof ROUTES)[number]

/** What a router counted: where the newest items went, and where they would go. */
export function Simulation({ of: { ok, detail, simulated } }: { of: Operation }) {
  const text = useMessages()
  const words = useWordsOfPages()
  if (!ok || !simulated) return <p className="notice bad" role="alert">{detail}</p>
  const name = (route: Route) => (route === 'review' ? text.review : words[route])
  const moved = (was: Route, now: Route) => simulated.routes[was]?.[now] ?? 0
  const share = (n: number) => (simulated.items ? `${number(n)} (${percent(n / simulated.items)})` : number(n))
  return (
    <div className="stack" role="status">
      <p className="notice info">{detail}</p>
      <Table
        caption={text.title}
        rows={ROUTES}
        rowKey={(was) => was}
        columns={[
          { name: text.was, cell: name },
          ...ROUTES.map((now) => ({ name: `→ ${name(now)}`, cell: (was: Route) => number(moved(was, now)), isNumber: true })),
        ]}
      />
      <p>{text.people(share(simulated.people_before), share(simulated.people_after))}</p>
      {simulated.notes?.map((note) => <p key={note} className="muted">{note}</p>)}
    </div>
  )
}
