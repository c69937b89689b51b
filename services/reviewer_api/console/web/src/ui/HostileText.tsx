import { visible } from './visible'

/** What a stranger wrote: as text, in a direction of its own, links inert, hidden characters shown by their code. */
export const HostileText = ({ children, className = '' }: { children: string; className?: string }) => (
  <bdi dir="auto" className={`hostile ${className}`} translate="no">
    {visible(children).map(({ text, code }, place) =>
      code ? (
        <span key={place} className="hidden-character">
          {code}
        </span>
      ) : (
        text
      ),
    )}
  </bdi>
)
