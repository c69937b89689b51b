/** Words that several pages share. */
import { messages } from '../i18n'

export const useWordsOfPages = messages({
  en: {
    source: 'Source', content: 'Content', author: 'Author', label: 'Label', outcome: 'Decision', state: 'State', queue: 'Queue',
    by: 'By', when: 'When', any: 'Any', approve: 'Approved', reject: 'Rejected', none: 'None yet', more: 'Show more',
    accepted: 'Accepted', in_review: 'In review', decided: 'Decided', superseded: 'Superseded', withdrawn: 'Withdrawn', pending: 'Waiting',
    leased: 'Held', published: 'Published', save: 'Save', cancel: 'Cancel', refresh: 'Refresh', name: 'Name', role: 'Role',
    reported: 'What users reported',
  },
  de: {
    source: 'Quelle', content: 'Inhalt', author: 'Verfasser', label: 'Kategorie', outcome: 'Entscheidung', state: 'Stand', queue: 'Warteschlange',
    by: 'Von', when: 'Wann', any: 'Alle', approve: 'Zugelassen', reject: 'Abgelehnt', none: 'Noch keine', more: 'Mehr zeigen',
    accepted: 'Angenommen', in_review: 'In Prüfung', decided: 'Entschieden', superseded: 'Ersetzt', withdrawn: 'Zurückgezogen', pending: 'Wartet',
    leased: 'In Händen', published: 'Veröffentlicht', save: 'Speichern', cancel: 'Abbrechen', refresh: 'Aktualisieren', name: 'Name', role: 'Rolle',
    reported: 'Was Nutzer gemeldet haben',
  },
  es: {
    source: 'Fuente', content: 'Contenido', author: 'Autor', label: 'Etiqueta', outcome: 'Decisión', state: 'Estado', queue: 'Cola',
    by: 'Por', when: 'Cuándo', any: 'Cualquiera', approve: 'Aprobado', reject: 'Rechazado', none: 'Aún ninguna', more: 'Mostrar más',
    accepted: 'Aceptado', in_review: 'En revisión', decided: 'Decidido', superseded: 'Sustituido', withdrawn: 'Retirado', pending: 'En espera',
    leased: 'En manos de alguien', published: 'Publicado', save: 'Guardar', cancel: 'Cancelar', refresh: 'Actualizar', name: 'Nombre', role: 'Función',
    reported: 'Lo que denunciaron los usuarios',
  },
  ar: {
    source: 'المصدر', content: 'المحتوى', author: 'الكاتب', label: 'الوسم', outcome: 'القرار', state: 'الحالة', queue: 'قائمة الانتظار',
    by: 'بواسطة', when: 'متى', any: 'الكل', approve: 'مقبول', reject: 'مرفوض', none: 'لا يوجد بعد', more: 'عرض المزيد',
    accepted: 'مقبول', in_review: 'قيد المراجعة', decided: 'تم البت فيه', superseded: 'استُبدل', withdrawn: 'سُحب', pending: 'ينتظر',
    leased: 'قيد العمل', published: 'منشور', save: 'حفظ', cancel: 'إلغاء', refresh: 'تحديث', name: 'الاسم', role: 'الدور',
    reported: 'ما أبلغ عنه المستخدمون',
  },
}) // prettier-ignore
