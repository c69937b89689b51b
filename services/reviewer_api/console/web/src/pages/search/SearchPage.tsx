import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { get } from '../../api/client'
import { policyQuery } from '../../api/queries'
import type { SearchPage as Hits } from '../../api/types'
import { to } from '../../app/router'
import { messages, relative } from '../../i18n'
import { Badge, Button, Card, Choice, EmptyState, ErrorState, Field, HostileText, PageHead, Skeleton, Table } from '../../ui'
import { OutcomeWord } from '../Outcome'
import { useWordsOfPages } from '../words'

const useMessages = messages({
  en: {
    title: 'Search', lead: 'Everything that was ever sent to review; moderators find what they judged.', words: 'Words in the text',
    hint: '"a phrase", or, and -not work', go: 'Search', nothing: 'Nothing matches', nothingHint: 'Use fewer words, or clear a filter.',
  },
  de: {
    title: 'Suche', lead: 'Alles, was je zur Prüfung kam; Moderierende finden, was sie beurteilt haben.', words: 'Wörter im Text',
    hint: '"ein Ausdruck", or und -nicht gehen', go: 'Suchen', nothing: 'Nichts passt', nothingHint: 'Nehmen Sie weniger Wörter oder einen Filter weg.',
  },
  es: {
    title: 'Buscar', lead: 'Todo lo que llegó a revisión; quienes moderan encuentran lo que juzgaron.', words: 'Palabras del texto',
    hint: 'sirven "una frase", or y -no', go: 'Buscar', nothing: 'Nada coincide', nothingHint: 'Use menos palabras o quite un filtro.',
  },
  ar: {
    title: 'بحث', lead: 'كل ما أُرسل إلى المراجعة؛ يجد المراجعون ما بتّوا فيه.', words: 'كلمات في النص',
    hint: 'يمكن استخدام "عبارة" و or و -ليس', go: 'بحث', nothing: 'لا نتيجة', nothingHint: 'استخدم كلمات أقل أو أزل مرشحًا.',
  },
}) // prettier-ignore

const NOTHING = { text: '', author_id: '', source: '', label: '', outcome: '', state: '' }
type Wanted = typeof NOTHING

/** Find by words and by what is known of an item. What is looked for stays in this page: it never is in the address. */
export default function SearchPage() {
  const text = useMessages()
  const words = useWordsOfPages()
  const [form, setForm] = useState<Wanted>(NOTHING)
  const [wanted, setWanted] = useState<Wanted>(NOTHING)
  const set = (name: keyof Wanted) => (value: string) => setForm({ ...form, [name]: value })
  const policy = useQuery(policyQuery)
  const labels = Object.keys(policy.data?.policy.labels ?? {})
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setWanted({ ...form })
  }
  return (
    <>
      <PageHead title={text.title}>{text.lead}</PageHead>
      <Card>
        <form onSubmit={submit} className="filters" role="search">
          <Field label={text.words} hint={text.hint} type="search" value={form.text} onChange={set('text')} maxLength={200} autoFocus />
          <Field label={words.author} value={form.author_id} onChange={set('author_id')} maxLength={256} />
          <Field label={words.source} value={form.source} onChange={set('source')} maxLength={64} />
          <Choice label={words.label} value={form.label} onChange={set('label')} options={[['', words.any], ...labels.map((each) => [each, each] as const)]} />
          <Choice
            label={words.outcome}
            value={form.outcome}
            onChange={set('outcome')}
            options={[['', words.any], ['approve', words.approve], ['reject', words.reject]]}
          />
          <Choice
            label={words.state}
            value={form.state}
            onChange={set('state')}
            options={[
              ['', words.any], ['in_review', words.in_review], ['decided', words.decided],
              ['superseded', words.superseded], ['withdrawn', words.withdrawn],
            ]} // prettier-ignore
          />
          <Button kind="primary" type="submit">{text.go}</Button>
        </form>
      </Card>
      <Results wanted={wanted} />
    </>
  )
}

function Results({ wanted }: { wanted: Wanted }) {
  const text = useMessages()
  const words = useWordsOfPages()
  const hits = useInfiniteQuery({
    queryKey: ['search', wanted],
    queryFn: ({ pageParam, signal }) => get<Hits>('/v1/search', { ...wanted, after: pageParam, limit: 25 }, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  })
  if (hits.isPending) return <Skeleton lines={8} />
  if (hits.error) return <ErrorState error={hits.error} onRetry={() => void hits.refetch()} />
  const rows = hits.data.pages.flatMap((page) => page.items)
  if (!rows.length) return <EmptyState title={text.nothing}>{text.nothingHint}</EmptyState>
  return (
    <>
      <Table
        caption={text.title}
        rows={rows}
        rowKey={(hit) => `${hit.source}/${hit.content_id}/${hit.revision}`}
        columns={[
          {
            name: words.content,
            cell: (hit) => (
              <a className="plain" href={to('content', hit.source, hit.content_id)}>
                <HostileText>{hit.excerpt}</HostileText>
              </a>
            ),
          },
          { name: words.outcome, cell: (hit) => <OutcomeWord outcome={hit.outcome} labels={hit.labels} /> },
          { name: words.state, cell: (hit) => <Badge tone={hit.state === 'in_review' ? 'info' : 'neutral'}>{words[hit.state]}</Badge> },
          {
            name: words.author,
            cell: (hit) =>
              hit.author_id ? (
                <a href={to('authors', hit.source, hit.author_id)}>
                  <HostileText>{hit.author_id}</HostileText>
                </a>
              ) : (
                '–'
              ),
          },
          { name: words.source, cell: (hit) => hit.source },
          { name: words.when, cell: (hit) => relative(hit.created_at) },
        ]}
      />
      {hits.hasNextPage ? (
        <Button onPress={() => void hits.fetchNextPage()} isPending={hits.isFetchingNextPage}>{words.more}</Button>
      ) : null}
    </>
  )
}
