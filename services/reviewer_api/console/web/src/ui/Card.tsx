import { useId, type ReactNode } from 'react'

interface Props {
  title?: ReactNode
  /** Buttons or links at the end of the title's line. */
  actions?: ReactNode
  children: ReactNode
  className?: string
}

/** A titled part of a page. */
export function Card({ title, actions, children, className = '' }: Props) {
  const id = useId()
  return (
    <section className={`card ${className}`} {...(title ? { 'aria-labelledby': id } : {})}>
      {title ? (
        <header className="card-head">
          <h2 id={id}>{title}</h2>
          {actions ? <div className="row">{actions}</div> : null}
        </header>
      ) : null}
      {children}
    </section>
  )
}

/** The title of a page, with what can be done on all of it. */
export function PageHead({ title, actions, children }: { title: string; actions?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <div>
        <h1>{title}</h1>
        {children ? <p className="muted">{children}</p> : null}
      </div>
      {actions ? <div className="row">{actions}</div> : null}
    </header>
  )
}

/** Figures side by side. */
export function Facts({ of }: { of: { name: string; value: ReactNode; note?: ReactNode }[] }) {
  return (
    <dl className="facts">
      {of.map(({ name, value, note }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value}
            {note ? <small className="muted">{note}</small> : null}
          </dd>
        </div>
      ))}
    </dl>
  )
}
