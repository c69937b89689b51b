import { messages } from '../../i18n'

export const useWebhookMessages = messages({
  en: {
    title: 'Webhooks', add: 'Add a webhook', none: 'Decisions are sent nowhere yet.', where: 'Where', waiting: 'Waiting', failed: 'Given up', actions: 'Actions',
    test: 'Test', replay: 'Send again', rotate: 'New secret', remove: 'Remove', works: 'works', rests: (when: string) => `rests, tries again ${when}`,
    arrived: (ms: string) => `It arrived, in ${ms} ms.`, notArrived: (why: string) => `It did not arrive: ${why}`, again: (n: string) => `${n} will be sent again.`,
    lost: 'What waits for it is not sent any more. This cannot be undone.', secret: 'The secret that signs', description: 'What it is for',
    secretHint: 'It is shown only now. Where it takes the place of another one, both sign for 24 hours.', lead: 'Every decision is sent there as a signed POST, for 3 days until it arrives.',
  },
  de: {
    title: 'Webhooks', add: 'Webhook hinzufügen', none: 'Entscheidungen werden noch nirgends hingeschickt.', where: 'Wohin', waiting: 'Wartend', failed: 'Aufgegeben', actions: 'Aktionen',
    test: 'Prüfen', replay: 'Erneut senden', rotate: 'Neues Geheimnis', remove: 'Entfernen', works: 'läuft', rests: (when) => `ruht, neuer Versuch ${when}`,
    arrived: (ms) => `Angekommen, in ${ms} ms.`, notArrived: (why) => `Nicht angekommen: ${why}`, again: (n) => `${n} werden erneut gesendet.`,
    lost: 'Was darauf wartet, wird nicht mehr gesendet. Das lässt sich nicht rückgängig machen.', secret: 'Das Geheimnis, das unterschreibt', description: 'Wofür',
    secretHint: 'Es wird nur jetzt gezeigt. Ersetzt es ein anderes, so unterschreiben 24 Stunden lang beide.', lead: 'Jede Entscheidung wird als unterschriebener POST dorthin gesendet, 3 Tage lang, bis sie ankommt.',
  },
  es: {
    title: 'Webhooks', add: 'Añadir un webhook', none: 'Las decisiones aún no se envían a ningún sitio.', where: 'Adónde', waiting: 'En espera', failed: 'Abandonadas', actions: 'Acciones',
    test: 'Probar', replay: 'Enviar de nuevo', rotate: 'Secreto nuevo', remove: 'Quitar', works: 'funciona', rests: (when) => `descansa, otro intento ${when}`,
    arrived: (ms) => `Llegó, en ${ms} ms.`, notArrived: (why) => `No llegó: ${why}`, again: (n) => `Se enviarán de nuevo ${n}.`,
    lost: 'Lo que espera ya no se enviará. No se puede deshacer.', secret: 'El secreto que firma', description: 'Para qué es',
    secretHint: 'Solo se muestra ahora. Si sustituye a otro, ambos firman durante 24 horas.', lead: 'Cada decisión se envía allí como un POST firmado, durante 3 días, hasta que llega.',
  },
  ar: {
    title: 'Webhooks', add: 'إضافة webhook', none: 'لا تُرسل القرارات إلى أي مكان بعد.', where: 'إلى أين', waiting: 'في الانتظار', failed: 'متروكة', actions: 'إجراءات',
    test: 'اختبار', replay: 'إعادة الإرسال', rotate: 'سر جديد', remove: 'إزالة', works: 'يعمل', rests: (when) => `متوقف، محاولة جديدة ${when}`,
    arrived: (ms) => `وصلت خلال ${ms} مللي ثانية.`, notArrived: (why) => `لم تصل: ${why}`, again: (n) => `سيُعاد إرسال ${n}.`,
    lost: 'ما ينتظر لن يُرسل بعد الآن. لا يمكن التراجع عن ذلك.', secret: 'السر الذي يوقّع', description: 'لأي غرض',
    secretHint: 'لا يُعرض إلا الآن. إن حلّ محل سر آخر فكلاهما يوقّع ٢٤ ساعة.', lead: 'يُرسل كل قرار إلى هناك كطلب POST موقّع، لمدة ٣ أيام حتى يصل.',
  },
}) // prettier-ignore
