import { useQuery } from '@tanstack/react-query'

import { get, inPath } from '../../api/client'
import type { Author } from '../../api/types'
import { to, useSegments } from '../../app/router'
import { messages, number, percent, relative } from '../../i18n'
import { Card, EmptyState, ErrorState, Facts, HostileText, PageHead, Skeleton, Table } from '../../ui'
import { OutcomeWord } from '../Outcome'
import { useWordsOfPages } from '../words'

const useMessages = messages({
  en: {
    title: 'Author', items: 'Settled content', rejected: 'Rejected', share: 'Share rejected', labels: 'Labels', recent: 'Newest',
    nothing: 'Nothing of this author is settled', nothingHint: 'What is in review is not shown here.',
  },
  de: {
    title: 'Verfasser', items: 'Geklärte Inhalte', rejected: 'Abgelehnt', share: 'Anteil abgelehnt', labels: 'Kategorien', recent: 'Neueste',
    nothing: 'Von diesem Verfasser ist nichts geklärt', nothingHint: 'Was geprüft wird, steht hier nicht.',
  },
  es: {
    title: 'Autor', items: 'Contenido resuelto', rejected: 'Rechazado', share: 'Proporción rechazada', labels: 'Etiquetas', recent: 'Lo más reciente',
    nothing: 'Nada de este autor está resuelto', nothingHint: 'Lo que está en revisión no se muestra aquí.',
  },
  ar: {
    title: 'الكاتب', items: 'محتوى محسوم', rejected: 'مرفوض', share: 'نسبة المرفوض', labels: 'الوسوم', recent: 'الأحدث',
    nothing: 'لا شيء محسوم لهذا الكاتب', nothingHint: 'ما هو قيد المراجعة لا يُعرض هنا.',
  },
}) // prettier-ignore

/** What an author's content was decided as: `#/authors/SOURCE/AUTHOR`. */
export default function AuthorPage() {
  const text = useMessages()
  const words = useWordsOfPages()
  const [, source = '', id = ''] = useSegments()
  const author = useQuery({
    queryKey: ['author', source, id],
    queryFn: ({ signal }) => get<Author>(`/v1/authors/${inPath(source)}/${inPath(id)}`, {}, { signal }),
  })
  const told = author.data
  return (
    <>
      <PageHead title={text.title}>
        <HostileText>{`${source}/${id}`}</HostileText>
      </PageHead>
      {author.error ? <ErrorState error={author.error} onRetry={() => void author.refetch()} /> : null}
      {author.isPending ? <Skeleton lines={6} /> : null}
      {told && !told.items ? <EmptyState title={text.nothing}>{text.nothingHint}</EmptyState> : null}
      {told?.items ? (
        <>
          <Facts
            of={[
              { name: text.items, value: number(told.items) },
              { name: text.rejected, value: number(told.rejected) },
              { name: text.share, value: percent(told.rejected / told.items) },
              ...told.labels.map(({ label, items }) => ({ name: label, value: number(items) })),
            ]}
          />
          <Card title={text.recent}>
            <Table
              caption={text.recent}
              rows={told.recent}
              rowKey={(past) => past.content_id}
              columns={[
                {
                  name: words.content,
                  cell: (past) => (
                    <a className="plain" href={to('content', past.source, past.content_id)}>
                      <HostileText>{past.excerpt}</HostileText>
                    </a>
                  ),
                },
                { name: words.outcome, cell: (past) => <OutcomeWord outcome={past.outcome} labels={past.labels} /> },
                { name: words.when, cell: (past) => (past.decided_at ? relative(past.decided_at) : '–') },
              ]}
            />
          </Card>
        </>
      ) : null}
    </>
  )
}
