import { messages } from '../../i18n'

export const usePolicyMessages = messages({
  en: {
    title: 'Policy', inForce: (version: string, when: string, by: string) => `Version ${version}, in force since ${when}, by ${by}`, none: 'No policy is in force',
    noneHint: 'Without one, people decide everything. Write one below; `secondlook policy init` prints a commented start.', document: 'The document, as YAML',
    check: 'Check', simulate: 'Simulate', noAnswer: 'No router answers. Is one running?', publish: 'Publish', fine: 'The document is in order.', same: 'It equals the policy in force.', changes: 'What changes', confirm: 'Publish this policy?',
    confirmHint: 'Routers follow within seconds. Certificates that no longer fit are refused, and those sides go to people.', published: 'The policy is in force.',
    stop: 'Stop automation', stopHint: 'People decide everything until you allow automation again. Type the word to confirm.', word: 'stop', typeIt: 'Type: stop',
    start: 'Allow automation', stopped: 'Automation is stopped: people decide everything.', versions: 'Versions', version: 'Version', allowed: 'Automation is allowed again.', reset: 'Back to what is in force',
  },
  de: {
    title: 'Richtlinie', inForce: (version, when, by) => `Version ${version}, gilt seit ${when}, von ${by}`, none: 'Es gilt keine Richtlinie',
    noneHint: 'Ohne sie entscheiden Menschen alles. Schreiben Sie unten eine; `secondlook policy init` gibt einen kommentierten Anfang aus.', document: 'Das Dokument, als YAML',
    check: 'Prüfen', simulate: 'Durchspielen', noAnswer: 'Kein Router antwortet. Läuft einer?', publish: 'Veröffentlichen', fine: 'Das Dokument ist in Ordnung.', same: 'Es gleicht der geltenden Richtlinie.', changes: 'Was sich ändert', confirm: 'Diese Richtlinie veröffentlichen?',
    confirmHint: 'Router folgen in Sekunden. Zertifikate, die nicht mehr passen, werden abgelehnt; dort entscheiden Menschen.', published: 'Die Richtlinie gilt.',
    stop: 'Automatik anhalten', stopHint: 'Menschen entscheiden alles, bis Sie die Automatik wieder erlauben. Tippen Sie zur Bestätigung das Wort.', word: 'halt', typeIt: 'Tippen Sie: halt',
    start: 'Automatik erlauben', stopped: 'Die Automatik ist angehalten: Menschen entscheiden alles.', versions: 'Versionen', version: 'Version', allowed: 'Die Automatik ist wieder erlaubt.', reset: 'Zurück zu dem, was gilt',
  },
  es: {
    title: 'Política', inForce: (version, when, by) => `Versión ${version}, vigente desde ${when}, por ${by}`, none: 'No hay ninguna política vigente',
    noneHint: 'Sin ella, las personas lo deciden todo. Escriba una abajo; `secondlook policy init` da un comienzo comentado.', document: 'El documento, en YAML',
    check: 'Comprobar', simulate: 'Simular', noAnswer: 'Ningún router responde. ¿Hay alguno en marcha?', publish: 'Publicar', fine: 'El documento está en orden.', same: 'Es igual a la política vigente.', changes: 'Lo que cambia', confirm: '¿Publicar esta política?',
    confirmHint: 'Los routers la siguen en segundos. Los certificados que ya no encajan se rechazan y allí deciden personas.', published: 'La política está vigente.',
    stop: 'Detener la automatización', stopHint: 'Las personas lo deciden todo hasta que vuelva a permitirla. Escriba la palabra para confirmar.', word: 'alto', typeIt: 'Escriba: alto',
    start: 'Permitir la automatización', stopped: 'La automatización está detenida: las personas lo deciden todo.', versions: 'Versiones', version: 'Versión', allowed: 'La automatización vuelve a estar permitida.', reset: 'Volver a lo vigente',
  },
  ar: {
    title: 'السياسة', inForce: (version, when, by) => `النسخة ${version}، سارية منذ ${when}، بواسطة ${by}`, none: 'لا سياسة سارية',
    noneHint: 'من دونها يقرر البشر كل شيء. اكتب سياسة أدناه؛ الأمر `secondlook policy init` يطبع بداية مشروحة.', document: 'المستند بصيغة YAML',
    check: 'فحص', simulate: 'محاكاة', noAnswer: 'لا موجّه يجيب. هل يعمل أحدها؟', publish: 'نشر', fine: 'المستند سليم.', same: 'يطابق السياسة السارية.', changes: 'ما يتغير', confirm: 'نشر هذه السياسة؟',
    confirmHint: 'تتبعها الموجّهات خلال ثوانٍ. الشهادات التي لم تعد تناسب تُرفض، ويقرر البشر هناك.', published: 'السياسة سارية.',
    stop: 'إيقاف الأتمتة', stopHint: 'يقرر البشر كل شيء حتى تسمح بالأتمتة ثانية. اكتب الكلمة للتأكيد.', word: 'قف', typeIt: 'اكتب: قف',
    start: 'السماح بالأتمتة', stopped: 'الأتمتة متوقفة: يقرر البشر كل شيء.', versions: 'النسخ', version: 'النسخة', allowed: 'الأتمتة مسموحة ثانية.', reset: 'العودة إلى الساري',
  },
}) // prettier-ignore
