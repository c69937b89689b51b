import { messages } from '../../i18n'

export const useAdminMessages = messages({
  en: {
    title: 'Admin', lead: 'Who may sign in, which programs may call, and who did what.', accounts: 'Accounts', keys: 'API keys', log: 'Audit log',
    username: 'User name', seen: 'Last seen', add: 'Make an account', addHint: 'Its owner signs in by a link and sets a password.', create: 'Make it',
    link: 'New link', disable: 'Disable', enable: 'Enable', disabled: 'Disabled', you: 'you', linkFor: (name: string) => `Link for ${name}`,
    linkHint: 'It signs in once, within 24 hours, and cannot be shown again. Send it to its owner alone.', copy: 'Copy', copied: 'Copied.',
    addKey: 'Make a key', keyHint: 'This is the only time it is shown.', expires: 'Works for', never: 'ever', days: (n: string) => `${n} days`, revoke: 'Revoke',
    revoked: 'Revoked', used: 'Last used', made: 'Made', noKeys: 'There are no keys', who: 'Who', did: 'Did what', to: 'To what', details: 'Details', newKey: 'The new key',
  },
  de: {
    title: 'Verwaltung', lead: 'Wer sich anmelden darf, welche Programme zugreifen, und wer was getan hat.', accounts: 'Konten', keys: 'API-Schlüssel', log: 'Protokoll',
    username: 'Benutzername', seen: 'Zuletzt da', add: 'Konto anlegen', addHint: 'Man meldet sich mit einem Link an und setzt ein Passwort.', create: 'Anlegen',
    link: 'Neuer Link', disable: 'Sperren', enable: 'Entsperren', disabled: 'Gesperrt', you: 'Sie', linkFor: (name) => `Link für ${name}`,
    linkHint: 'Er gilt einmal und 24 Stunden lang und lässt sich nicht wieder anzeigen. Schicken Sie ihn nur der Person selbst.', copy: 'Kopieren', copied: 'Kopiert.',
    addKey: 'Schlüssel anlegen', keyHint: 'Er wird nur dieses eine Mal gezeigt.', expires: 'Gilt', never: 'immer', days: (n) => `${n} Tage`, revoke: 'Widerrufen',
    revoked: 'Widerrufen', used: 'Zuletzt benutzt', made: 'Angelegt', noKeys: 'Es gibt keine Schlüssel', who: 'Wer', did: 'Tat was', to: 'Woran', details: 'Genauer', newKey: 'Der neue Schlüssel',
  },
  es: {
    title: 'Administración', lead: 'Quién puede entrar, qué programas pueden llamar y quién hizo qué.', accounts: 'Cuentas', keys: 'Claves de API', log: 'Registro',
    username: 'Usuario', seen: 'Última vez', add: 'Crear una cuenta', addHint: 'Se entra con un enlace y se elige una contraseña.', create: 'Crear',
    link: 'Enlace nuevo', disable: 'Desactivar', enable: 'Activar', disabled: 'Desactivada', you: 'usted', linkFor: (name) => `Enlace para ${name}`,
    linkHint: 'Sirve una vez, durante 24 horas, y no se puede volver a mostrar. Envíelo solo a su dueño.', copy: 'Copiar', copied: 'Copiado.',
    addKey: 'Crear una clave', keyHint: 'Solo se muestra esta vez.', expires: 'Sirve', never: 'siempre', days: (n) => `${n} días`, revoke: 'Revocar',
    revoked: 'Revocada', used: 'Último uso', made: 'Creada', noKeys: 'No hay claves', who: 'Quién', did: 'Hizo qué', to: 'A qué', details: 'Detalles', newKey: 'La clave nueva',
  },
  ar: {
    title: 'الإدارة', lead: 'من يحق له الدخول، وأي برامج تتصل، ومن فعل ماذا.', accounts: 'الحسابات', keys: 'مفاتيح API', log: 'سجل التدقيق',
    username: 'اسم المستخدم', seen: 'آخر ظهور', add: 'إنشاء حساب', addHint: 'يدخل صاحبه برابط ثم يعيّن كلمة مرور.', create: 'أنشئ',
    link: 'رابط جديد', disable: 'تعطيل', enable: 'تفعيل', disabled: 'معطّل', you: 'أنت', linkFor: (name) => `رابط ${name}`,
    linkHint: 'يعمل مرة واحدة خلال ٢٤ ساعة ولا يمكن عرضه مجددًا. أرسله إلى صاحبه وحده.', copy: 'نسخ', copied: 'نُسخ.',
    addKey: 'إنشاء مفتاح', keyHint: 'لا يُعرض إلا هذه المرة.', expires: 'يعمل لمدة', never: 'دائمة', days: (n) => `${n} يومًا`, revoke: 'إلغاء',
    revoked: 'مُلغى', used: 'آخر استخدام', made: 'أُنشئ', noKeys: 'لا مفاتيح', who: 'من', did: 'فعل ماذا', to: 'بماذا', details: 'تفاصيل', newKey: 'المفتاح الجديد',
  },
}) // prettier-ignore

export const ROLES = ['moderator', 'lead', 'policy_owner', 'auditor', 'admin'] as const
export type AccountRole = (typeof ROLES)[number]
