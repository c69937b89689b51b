/** The pages of the console: the one list that navigation, addresses and the palette are made from. */
import { lazy, type ComponentType, type LazyExoticComponent } from 'react'

import type { Language } from '../i18n'
import { Document, Eye, Find, Gear, Layers, List, People, Person, Pulse, Scales } from '../ui/icons'

export interface Page {
  /** First part of the address, `#/path`. */
  path: string
  title: Record<Language, string>
  icon: ComponentType
  /** Who lacks it does not see the page; null: for all who are logged in. */
  permission: string | null
  /** false: reached by links alone, such as the page of one piece of content. */
  inNavigation?: boolean
  component: LazyExoticComponent<ComponentType>
}

export const PAGES: Page[] = [
  {
    path: 'review',
    title: { en: 'Review', de: 'Prüfen', es: 'Revisar', ar: 'المراجعة' },
    icon: Eye,
    permission: 'review',
    component: lazy(() => import('../pages/review/ReviewPage')),
  },
  {
    path: 'queues',
    title: { en: 'Queues', de: 'Warteschlangen', es: 'Colas', ar: 'قوائم الانتظار' },
    icon: List,
    permission: 'review',
    component: lazy(() => import('../pages/queues/QueuesPage')),
  },
  {
    path: 'search',
    title: { en: 'Search', de: 'Suche', es: 'Buscar', ar: 'بحث' },
    icon: Find,
    permission: 'decisions:read',
    component: lazy(() => import('../pages/search/SearchPage')),
  },
  {
    path: 'content',
    title: { en: 'Content', de: 'Inhalt', es: 'Contenido', ar: 'المحتوى' },
    icon: Document,
    permission: 'decisions:read',
    inNavigation: false,
    component: lazy(() => import('../pages/content/ContentPage')),
  },
  {
    path: 'authors',
    title: { en: 'Author', de: 'Verfasser', es: 'Autor', ar: 'الكاتب' },
    icon: Person,
    permission: 'decisions:any',
    inNavigation: false,
    component: lazy(() => import('../pages/authors/AuthorPage')),
  },
  {
    path: 'policy',
    title: { en: 'Policy', de: 'Richtlinie', es: 'Política', ar: 'السياسة' },
    icon: Scales,
    permission: 'policy:read',
    component: lazy(() => import('../pages/policy/PolicyPage')),
  },
  {
    path: 'models',
    title: { en: 'Models', de: 'Modelle', es: 'Modelos', ar: 'النماذج' },
    icon: Layers,
    permission: 'quality:read',
    component: lazy(() => import('../pages/models/ModelsPage')),
  },
  {
    path: 'health',
    title: { en: 'Health', de: 'Zustand', es: 'Salud', ar: 'الحالة' },
    icon: Pulse,
    permission: 'quality:read',
    component: lazy(() => import('../pages/health/HealthPage')),
  },
  {
    path: 'people',
    title: { en: 'People', de: 'Menschen', es: 'Personas', ar: 'الأشخاص' },
    icon: People,
    permission: 'leases:any',
    component: lazy(() => import('../pages/people/PeoplePage')),
  },
  {
    path: 'admin',
    title: { en: 'Admin', de: 'Verwaltung', es: 'Administración', ar: 'الإدارة' },
    icon: Gear,
    permission: 'audit_log:read',
    component: lazy(() => import('../pages/admin/AdminPage')),
  },
  {
    path: 'me',
    title: { en: 'You', de: 'Sie', es: 'Usted', ar: 'أنت' },
    icon: Person,
    permission: null,
    component: lazy(() => import('../pages/me/MePage')),
  },
]
