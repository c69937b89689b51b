import { messages } from '../../i18n'

export const useQueuesMessages = messages({
  en: {
    title: 'Queues', lead: 'What waits for people, live.', waiting: 'Waiting', held: 'Held', oldest: 'Oldest', sla: 'Agreed within',
    overdue: 'Overdue', work: 'Review', look: 'Look', forLeads: 'for leads', empty: 'No queue holds anything',
    emptyHint: 'Content that the model is not sure of arrives here by itself. Queues are part of the policy.',
    pace: 'Arrivals and verdicts, last 24 hours', arrivals: 'Asked for', verdicts: 'Verdicts',
    ends: (time: string) => `At the pace of the last 3 hours the backlog is done in ${time}.`,
    grows: (time: string) => `More arrives than is judged: the backlog grows by what takes ${time} to judge, every hour.`,
    still: 'Nothing was judged in the last 3 hours, so nothing can be said about when the backlog ends.', listed: (name: string) => `Waiting in ${name}`,
    nothing: 'Nothing waits here', review: 'Review this', anyQueue: 'all queues',
  },
  de: {
    title: 'Warteschlangen', lead: 'Was auf Menschen wartet, laufend.', waiting: 'Wartet', held: 'In Händen', oldest: 'Am ältesten', sla: 'Zugesagt in',
    overdue: 'Überfällig', work: 'Prüfen', look: 'Ansehen', forLeads: 'für Leitende', empty: 'Alle Warteschlangen sind leer',
    emptyHint: 'Inhalte, bei denen das Modell unsicher ist, kommen von selbst hierher. Warteschlangen stehen in der Richtlinie.',
    pace: 'Eingang und Urteile, letzte 24 Stunden', arrivals: 'Eingang', verdicts: 'Urteile',
    ends: (time) => `Im Tempo der letzten 3 Stunden ist alles in ${time} abgearbeitet.`,
    grows: (time) => `Es kommt mehr, als beurteilt wird: Jede Stunde wächst der Rückstand um Arbeit von ${time}.`,
    still: 'In den letzten 3 Stunden wurde nichts beurteilt: Wann der Rückstand endet, lässt sich nicht sagen.', listed: (name) => `Wartet in ${name}`,
    nothing: 'Hier wartet nichts', review: 'Dies prüfen', anyQueue: 'allen Warteschlangen',
  },
  es: {
    title: 'Colas', lead: 'Lo que espera a las personas, en directo.', waiting: 'En espera', held: 'En manos', oldest: 'Más antiguo', sla: 'Acordado en',
    overdue: 'Vencidos', work: 'Revisar', look: 'Ver', forLeads: 'para responsables', empty: 'Ninguna cola contiene nada',
    emptyHint: 'El contenido del que el modelo no está seguro llega aquí por sí solo. Las colas forman parte de la política.',
    pace: 'Llegadas y veredictos, últimas 24 horas', arrivals: 'Llegadas', verdicts: 'Veredictos',
    ends: (time) => `Al ritmo de las últimas 3 horas, lo pendiente acaba en ${time}.`,
    grows: (time) => `Llega más de lo que se juzga: cada hora se acumula trabajo de ${time}.`,
    still: 'No se ha juzgado nada en las últimas 3 horas: no se puede decir cuándo acaba lo pendiente.', listed: (name) => `En espera en ${name}`,
    nothing: 'Aquí no espera nada', review: 'Revisar esto', anyQueue: 'todas las colas',
  },
  ar: {
    title: 'قوائم الانتظار', lead: 'ما ينتظر البشر، مباشرة.', waiting: 'ينتظر', held: 'قيد العمل', oldest: 'الأقدم', sla: 'المهلة المتفق عليها',
    overdue: 'متأخر', work: 'مراجعة', look: 'عرض', forLeads: 'للمشرفين', empty: 'لا شيء في أي قائمة',
    emptyHint: 'المحتوى الذي لا يتأكد منه النموذج يصل إلى هنا من تلقاء نفسه. القوائم جزء من السياسة.',
    pace: 'الوارد والأحكام، آخر 24 ساعة', arrivals: 'الوارد', verdicts: 'الأحكام',
    ends: (time) => `بوتيرة آخر 3 ساعات ينتهي المتراكم خلال ${time}.`,
    grows: (time) => `يصل أكثر مما يُبت فيه: كل ساعة يزداد المتراكم بعمل مدته ${time}.`,
    still: 'لم يُبت في شيء خلال آخر 3 ساعات، فلا يمكن القول متى ينتهي المتراكم.', listed: (name) => `ينتظر في ${name}`,
    nothing: 'لا شيء ينتظر هنا', review: 'راجع هذا', anyQueue: 'كل القوائم',
  },
}) // prettier-ignore
