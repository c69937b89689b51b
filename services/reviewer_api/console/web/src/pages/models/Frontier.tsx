import type { Quality } from '../../api/types'
import { messages, number, percent } from '../../i18n'
import { Table } from '../../ui'

const useMessages = messages({
  en: { title: 'Share decided automatically by promise', approve: 'Wrong approvals at most', reject: 'Wrong rejections at most', automated: 'Decided automatically', reviews: 'Reviews a day', now: 'the policy now' },
  de: { title: 'Automatisch entschiedener Anteil je Zusage', approve: 'Falsche Zulassungen höchstens', reject: 'Falsche Ablehnungen höchstens', automated: 'Automatisch entschieden', reviews: 'Prüfungen am Tag', now: 'die Richtlinie jetzt' },
  es: { title: 'Proporción automática según la promesa', approve: 'Aprobaciones erróneas como mucho', reject: 'Rechazos erróneos como mucho', automated: 'Decidido automáticamente', reviews: 'Revisiones al día', now: 'la política actual' },
  ar: { title: 'نسبة المقرر آليًا بحسب الوعد', approve: 'قبول خاطئ على الأكثر', reject: 'رفض خاطئ على الأكثر', automated: 'يُقرر آليًا', reviews: 'مراجعات في اليوم', now: 'السياسة الآن' },
}) // prettier-ignore

type Point = NonNullable<Quality['frontier']>[number]

/** What half to five times the policy's risks would bring and cost, as bars and as a table. */
export function Frontier({ points }: { points: readonly Point[] }) {
  const text = useMessages()
  const width = 640 / points.length
  return (
    <>
      <figure className="chart">
        <svg viewBox="0 0 640 180" role="img" aria-label={text.title}>
          {points.map((point, place) => {
            const height = 140 * point.automated
            const x = place * width + width * 0.15
            return (
              <g key={point.factor}>
                <rect
                  x={x}
                  y={150 - height}
                  width={width * 0.7}
                  height={Math.max(height, 1)}
                  rx="3"
                  fill={point.factor === 1 ? 'var(--chart-1)' : 'var(--chart-3)'}
                />
                <text x={x + width * 0.35} y={144 - height} textAnchor="middle">{percent(point.automated, 0)}</text>
                <text x={x + width * 0.35} y={168} textAnchor="middle">×{number(point.factor)}</text>
              </g>
            )
          })}
        </svg>
      </figure>
      <Table
        caption={text.title}
        rows={points}
        rowKey={(point) => String(point.factor)}
        columns={[
          { name: '×', cell: (point) => (point.factor === 1 ? `1 (${text.now})` : number(point.factor)) },
          { name: text.approve, cell: (point) => percent(point.approve, 2), isNumber: true },
          { name: text.reject, cell: (point) => percent(point.reject, 2), isNumber: true },
          { name: text.automated, cell: (point) => percent(point.automated), isNumber: true },
          { name: text.reviews, cell: (point) => number(point.reviews_a_day, { maximumFractionDigits: 0 }), isNumber: true },
        ]}
      />
    </>
  )
}
