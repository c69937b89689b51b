/** The pages of the console: the one list that navigation, addresses and the palette are made from. */
import { lazy, type ComponentType, type LazyExoticComponent } from 'react'

import type { Language } from '../i18n'
import { Eye } from '../ui/icons'

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
]
