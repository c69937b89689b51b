import { useId, useMemo, useState, type KeyboardEvent } from 'react'

import { useLanguage } from '../i18n'
import { Dialog } from '../ui'
import { useAllCommands, type Command } from './commands'
import { useShellMessages } from './messages'
import { PAGES } from './pages'
import { go } from './router'
import { useSession } from './session'

/** All that can be done here and all pages, found by typing. */
export function Palette({ onClose }: { onClose: () => void }) {
  const text = useShellMessages()
  const language = useLanguage()
  const { may } = useSession()
  const offered = useAllCommands()
  const id = useId()
  const [typed, setTyped] = useState('')
  const [chosen, setChosen] = useState(0)

  const found = useMemo(() => {
    const pages: Command[] = PAGES.filter((page) => page.inNavigation !== false && may(page.permission)).map((page) => ({
      id: page.path, title: page.title[language], key: null, run: () => go(page.path), group: text.navigation,
    }))
    const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean)
    const fits = ({ title }: Command) => words.every((word) => title.toLocaleLowerCase().includes(word))
    return [...offered, ...pages].filter(fits)
  }, [typed, offered, may, language, text])

  const run = (command: Command | undefined) => {
    if (!command) return
    onClose()
    // After the dialog has given the focus back, so that the command may move it.
    requestAnimationFrame(() => command.run())
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) setChosen((now) => (now + step + found.length) % Math.max(found.length, 1))
    else if (event.key === 'Enter') run(found[chosen])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title={text.palette} onClose={onClose}>
      <input
        className="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found[chosen] ? `${id}-${found[chosen].id}` : undefined}
        aria-label={text.palette}
        autoFocus
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          setChosen(0)
        }}
        onKeyDown={onKeyDown}
      />
      <ul className="palette" role="listbox" id={id} aria-label={text.palette}>
        {found.map((command, place) => (
          <li
            key={command.id}
            id={`${id}-${command.id}`}
            role="option"
            aria-selected={place === chosen}
            onClick={() => run(command)}
            onPointerMove={() => setChosen(place)}
          >
            <span>{command.title}</span>
            {command.key ? <kbd>{command.key}</kbd> : <small className="muted">{command.group}</small>}
          </li>
        ))}
      </ul>
      {found.length ? null : <p className="muted">{text.nothingFound}</p>}
    </Dialog>
  )
}

/** The sheet of keys. */
export function KeySheet({ onClose }: { onClose: () => void }) {
  const text = useShellMessages()
  const withKeys = useAllCommands().filter(({ key }) => key)
  const groups = [...new Set(withKeys.map(({ group }) => group))]
  return (
    <Dialog title={text.keys} onClose={onClose}>
      {groups.map((group) => (
        <section key={group}>
          <h3>{group}</h3>
          <dl className="keys">
            {withKeys
              .filter((command) => command.group === group)
              .map((command) => (
                <div key={command.id}>
                  <dt>
                    <kbd>{command.key}</kbd>
                  </dt>
                  <dd>{command.title}</dd>
                </div>
              ))}
          </dl>
        </section>
      ))}
      <section>
        <h3>{text.everywhere}</h3>
        <dl className="keys">
          <div>
            <dt>
              <kbd>Ctrl</kbd> <kbd>K</kbd>
            </dt>
            <dd>{text.palette}</dd>
          </div>
          <div>
            <dt>
              <kbd>?</kbd>
            </dt>
            <dd>{text.keys}</dd>
          </div>
        </dl>
      </section>
    </Dialog>
  )
}
