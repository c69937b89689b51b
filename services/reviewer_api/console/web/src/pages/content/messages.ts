import { messages } from '../../i18n'

export const useContentMessages = messages({
  en: {
    title: 'Content', what: 'What it says', history: 'Decisions', reviews: 'Reviews', said: 'What people said', notes: 'Notes',
    addNote: 'Write a note', note: 'For colleagues; shown beside later reviews', send: 'Keep the note', open: 'It is in review. Until it is settled, nothing more is shown here.',
    sequence: 'No.', reason: 'Why', revision: 'Revision', undone: 'undone', current: 'in force', hidden: 'What it says is shown to those who read all decisions.',
    reverse: 'Reverse this decision', reverseHint: 'Your decision takes its place; upstream is told, and the model learns from it.', reversed: 'The decision was reversed.',
    why: 'Reason, for colleagues', pickLabels: 'What applies', approveIt: 'Approve it', rejectIt: 'Reject it', author: 'By',
  },
  de: {
    title: 'Inhalt', what: 'Was da steht', history: 'Entscheidungen', reviews: 'Prüfungen', said: 'Was Menschen sagten', notes: 'Notizen',
    addNote: 'Notiz schreiben', note: 'Für Kolleginnen und Kollegen; steht neben späteren Prüfungen', send: 'Notiz behalten', open: 'Es wird geprüft. Bis es geklärt ist, steht hier nicht mehr.',
    sequence: 'Nr.', reason: 'Warum', revision: 'Fassung', undone: 'zurückgenommen', current: 'gilt', hidden: 'Was da steht, sehen jene, die alle Entscheidungen lesen.',
    reverse: 'Entscheidung umkehren', reverseHint: 'Ihre Entscheidung tritt an ihre Stelle; die Quelle erfährt es, und das Modell lernt daraus.', reversed: 'Die Entscheidung wurde umgekehrt.',
    why: 'Begründung, für Kolleginnen und Kollegen', pickLabels: 'Was zutrifft', approveIt: 'Zulassen', rejectIt: 'Ablehnen', author: 'Von',
  },
  es: {
    title: 'Contenido', what: 'Lo que dice', history: 'Decisiones', reviews: 'Revisiones', said: 'Lo que dijeron las personas', notes: 'Notas',
    addNote: 'Escribir una nota', note: 'Para colegas; se muestra junto a revisiones posteriores', send: 'Guardar la nota', open: 'Está en revisión. Hasta que se resuelva, aquí no se muestra más.',
    sequence: 'N.º', reason: 'Por qué', revision: 'Versión', undone: 'deshecho', current: 'vigente', hidden: 'Lo que dice se muestra a quienes leen todas las decisiones.',
    reverse: 'Revertir esta decisión', reverseHint: 'Su decisión ocupa su lugar; la fuente se entera y el modelo aprende de ello.', reversed: 'La decisión se ha revertido.',
    why: 'Motivo, para colegas', pickLabels: 'Lo que se aplica', approveIt: 'Aprobar', rejectIt: 'Rechazar', author: 'De',
  },
  ar: {
    title: 'المحتوى', what: 'ما يقوله', history: 'القرارات', reviews: 'المراجعات', said: 'ما قاله الناس', notes: 'ملاحظات',
    addNote: 'اكتب ملاحظة', note: 'للزملاء؛ تظهر بجانب المراجعات اللاحقة', send: 'احفظ الملاحظة', open: 'إنه قيد المراجعة. لا يُعرض المزيد هنا حتى يُبت فيه.',
    sequence: 'رقم', reason: 'لماذا', revision: 'النسخة', undone: 'تُراجع عنه', current: 'ساري', hidden: 'ما يقوله يراه من يقرأ كل القرارات.',
    reverse: 'اعكس هذا القرار', reverseHint: 'يحل قرارك محله؛ يُبلَّغ المصدر ويتعلم النموذج منه.', reversed: 'عُكس القرار.',
    why: 'السبب، للزملاء', pickLabels: 'ما ينطبق', approveIt: 'اقبل', rejectIt: 'ارفض', author: 'من',
  },
}) // prettier-ignore
