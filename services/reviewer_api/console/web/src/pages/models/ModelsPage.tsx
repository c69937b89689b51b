import { messages, number, percent, time } from '../../i18n'
import { Card, Facts, PageHead, Table } from '../../ui'
import { useSideWords, WithQuality } from '../figures'
import { Bundles } from './Bundles'
import { Frontier } from './Frontier'

const useMessages = messages({
  en: {
    title: 'Models', lead: 'What the model may decide by itself, what that rests on, and what it still needs.', bundle: 'Active bundle', measured: 'Measured', items: 'Judged items that it did not learn from',
    sides: 'What may be decided automatically', side: 'Decision', standing: 'State', threshold: 'Threshold', wrong: 'Wrong of judged', bound: 'At most wrong', risk: 'Promised', next: 'What is missing',
    frontier: 'What a promise costs', none: 'none',
  },
  de: {
    title: 'Modelle', lead: 'Was das Modell allein entscheiden darf, worauf das beruht, und was noch fehlt.', bundle: 'Aktives Bündel', measured: 'Gemessen', items: 'Beurteiltes, aus dem es nicht gelernt hat',
    sides: 'Was automatisch entschieden werden darf', side: 'Entscheidung', standing: 'Stand', threshold: 'Schwelle', wrong: 'Falsch von beurteilt', bound: 'Höchstens falsch', risk: 'Zugesagt', next: 'Was fehlt',
    frontier: 'Was eine Zusage kostet', none: 'keines',
  },
  es: {
    title: 'Modelos', lead: 'Lo que el modelo puede decidir solo, en qué se apoya y qué le falta.', bundle: 'Paquete activo', measured: 'Medido', items: 'Juzgados de los que no aprendió',
    sides: 'Lo que puede decidirse automáticamente', side: 'Decisión', standing: 'Estado', threshold: 'Umbral', wrong: 'Erróneos de juzgados', bound: 'Erróneo como mucho', risk: 'Prometido', next: 'Qué falta',
    frontier: 'Lo que cuesta una promesa', none: 'ninguno',
  },
  ar: {
    title: 'النماذج', lead: 'ما يحق للنموذج أن يقرره وحده، وعلى ماذا يستند، وما ينقصه.', bundle: 'الحزمة الفعالة', measured: 'قيس', items: 'عناصر بُت فيها ولم يتعلم منها',
    sides: 'ما يجوز تقريره آليًا', side: 'القرار', standing: 'الحالة', threshold: 'العتبة', wrong: 'خاطئ من المحكوم فيه', bound: 'الخطأ على الأكثر', risk: 'الموعود', next: 'ما الذي ينقص',
    frontier: 'كم يكلف الوعد', none: 'لا شيء',
  },
}) // prettier-ignore

/** Sides and certificates of the active model. */
export default function ModelsPage() {
  const text = useMessages()
  const words = useSideWords()
  return (
    <>
      <PageHead title={text.title}>{text.lead}</PageHead>
      <WithQuality>
        {(quality) => (
          <>
            <Facts
              of={[
                { name: text.bundle, value: quality.bundle_version ?? text.none },
                { name: text.items, value: number(quality.certify_items) },
                { name: text.measured, value: time(quality.measured_at) },
              ]}
            />
            <Card title={text.sides}>
              <Table
                caption={text.sides}
                rows={quality.sides}
                rowKey={(side) => `${side.outcome}/${side.label}`}
                columns={[
                  { name: text.side, cell: words.name },
                  { name: text.standing, cell: words.standing },
                  { name: text.threshold, cell: (side) => side.threshold == null ? '–' : number(side.threshold, { maximumFractionDigits: 3 }), isNumber: true },
                  {
                    name: text.wrong,
                    cell: (side) => {
                      const seen = side.certificate ?? side.evidence
                      if (!seen) return '–'
                      const wrong = 'k' in seen ? seen.k : seen.wrong
                      return `${number(wrong)} / ${number(seen.n)}`
                    },
                    isNumber: true,
                  },
                  { name: text.bound, cell: (side) => shareOf(side.certificate?.bound ?? side.evidence?.bound), isNumber: true },
                  { name: text.risk, cell: (side) => shareOf(side.certificate?.epsilon), isNumber: true },
                  { name: text.next, cell: (side) => [side.reason, side.outlook].filter(Boolean).join(' ') || '–' },
                ]} // prettier-ignore
              />
            </Card>
            {quality.bundles?.length ? <Bundles bundles={quality.bundles} /> : null}
            {quality.frontier?.length ? (
              <Card title={text.frontier}>
                <Frontier points={quality.frontier} />
              </Card>
            ) : null}
          </>
        )}
      </WithQuality>
    </>
  )
}

const shareOf = (value: number | null | undefined): string => (value == null ? '–' : percent(value, 2))
