import { Suspense, useEffect, useState } from 'react'

import { direction, LANGUAGES, useLanguage, type Language } from '../i18n'
import { Button, Choice, EmptyState, Skeleton } from '../ui'
import { Find, Keyboard, Leave, Menu, Moon, Sun } from '../ui/icons'
import { Toasts } from '../ui/toast'
import { commandOf } from './commands'
import { LoginDialog } from './Login'
import { useShellMessages } from './messages'
import { PAGES, type Page } from './pages'
import { KeySheet, Palette } from './Palette'
import { to, useSegments } from './router'
import { useMe, useSession } from './session'
import { settings, useSettings } from './settings'

/** The frame around every page: navigation, top bar, keys, messages. */
export function Shell() {
  const text = useShellMessages()
  const language = useLanguage()
  const { state, may } = useSession()
  const [path] = useSegments()
  const [open, setOpen] = useState<'palette' | 'keys' | null>(null)
  const [menu, setMenu] = useState(false)
  const visible = PAGES.filter((page) => may(page.permission))
  const page = path ? PAGES.find((each) => each.path === path) : visible[0]

  useEffect(() => {
    document.title = page ? `${page.title[language]} · Second Look` : 'Second Look'
  }, [page, language])

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        setOpen('palette')
        return
      }
      if (!settings.get().keys || event.repeat) return
      const command = commandOf(event)
      if (command) {
        event.preventDefault()
        command.run()
      } else if (event.key === '?' && !(event.target as Element).closest('input, textarea, select, [role=dialog]')) {
        setOpen('keys')
      }
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])

  return (
    <div className="shell" data-menu={menu ? 'open' : 'closed'}>
      <a className="skip" href="#main" onClick={focusMain}>
        {text.skip}
      </a>
      <header className="top">
        <span className="only-narrow">
          <Button kind="quiet" label={text.menu} onPress={() => setMenu(!menu)}>
            <Menu />
          </Button>
        </span>
        <a className="brand" href={to()}>
          Second Look
        </a>
        <span className="spread" />
        <Button kind="quiet" onPress={() => setOpen('palette')}>
          <Find />
          <span className="unseen-narrow muted">{text.palette}</span>
          <kbd aria-hidden="true">Ctrl K</kbd>
        </Button>
        <Button kind="quiet" label={text.keys} onPress={() => setOpen('keys')}>
          <Keyboard />
        </Button>
        <ThemeSwitch />
      </header>
      <nav className="side" aria-label={text.navigation} onClick={() => setMenu(false)}>
        <ul>
          {visible
            .filter((each) => each.inNavigation !== false)
            .map(({ path, title, icon: Icon }) => (
              <li key={path}>
                <a href={to(path)} aria-current={page?.path === path ? 'page' : undefined}>
                  <Icon />
                  <span>{title[language]}</span>
                </a>
              </li>
            ))}
        </ul>
        <Account />
      </nav>
      <main id="main" tabIndex={-1}>
        <SetPassword />
        <Content page={page} />
      </main>
      <Toasts />
      {state.is === 'expired' ? <LoginDialog /> : null}
      {open === 'palette' ? <Palette onClose={() => setOpen(null)} /> : null}
      {open === 'keys' ? <KeySheet onClose={() => setOpen(null)} /> : null}
    </div>
  )
}

function focusMain(event: React.MouseEvent): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

function Content({ page }: { page: Page | undefined }) {
  const text = useShellMessages()
  const { may } = useSession()
  const home = <a href={to()}>{text.home}</a>
  if (!page) return <EmptyState title={text.noPage} action={home}>{text.noPageHint}</EmptyState>
  if (!may(page.permission)) return <EmptyState title={text.noAccess} action={home} />
  return (
    <Suspense fallback={<Skeleton lines={8} />} key={page.path}>
      <page.component />
    </Suspense>
  )
}

function ThemeSwitch() {
  const text = useShellMessages()
  const { theme } = useSettings()
  const dark = theme === 'dark' || (theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
  return (
    <Button kind="quiet" label={dark ? text.light : text.dark} onPress={() => settings.set({ theme: dark ? 'light' : 'dark' })}>
      {dark ? <Sun /> : <Moon />}
    </Button>
  )
}

function Account() {
  const text = useShellMessages()
  const me = useMe()
  const { logout } = useSession()
  const current = useLanguage()
  const languages = Object.entries(LANGUAGES) as [Language, string][]
  return (
    <div className="account" onClick={(event) => event.stopPropagation()}>
      <Choice label={text.language} value={current} onChange={(language) => settings.set({ language })} options={languages} />
      <div className="row">
        <span className="spread">
          <b>{me.name}</b>
          <small className="muted">{me.role}</small>
        </span>
        <Button kind="quiet" label={text.logout} onPress={() => void logout()}>
          <Leave />
        </Button>
      </div>
    </div>
  )
}

function SetPassword() {
  const text = useShellMessages()
  const me = useMe()
  if (me.password_set !== false || !PAGES.some((page) => page.path === 'me')) return null
  return (
    <p className="notice info">
      {text.setPassword} <a href={to('me')}>{text.setPasswordGo}</a>
    </p>
  )
}

/** Keeps the document's language, direction and theme in step with the settings. */
export function useDocument(): void {
  const { theme } = useSettings()
  const current = useLanguage()
  useEffect(() => {
    Object.assign(document.documentElement, { lang: current, dir: direction() })
    document.documentElement.dataset.theme = theme
  }, [theme, current])
}
