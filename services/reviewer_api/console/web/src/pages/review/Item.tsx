import { useEffect, useMemo, useRef, useState } from 'react'

import type { ReviewTask } from '../../api/types'
import { useCommands, type Command } from '../../app/commands'
import { useSettings } from '../../app/settings'
import { number, relative, time } from '../../i18n'
import { Badge, Button, Card, Field, HostileText, OutsideLink, toast } from '../../ui'
import type { Together } from '../bulk/BulkDialog'
import { useBulkMessages } from '../bulk/messages'
import { NearDialog } from '../bulk/NearDialog'
import { SavedTexts } from '../SavedTexts'
import { useTaskContext } from './context'
import type { Desk } from './desk'
import { EscalateDialog } from './EscalateDialog'
import { useReviewMessages } from './messages'
import { isCovered } from './safety'
import { Side } from './Side'
import type { Verdict, View } from './view'

interface Props {
  task: ReviewTask
  desk: Desk
  view: View
  onVerdict: (verdict: Verdict) => void
  onTogether: (together: Together) => void
}

/** The item in hand, what applies to it, and the verdict. */
export function Item({ task, desk, view, onVerdict, onTogether }: Props) {
  const text = useReviewMessages()
  const bulk = useBulkMessages()
  const settings = useSettings()
  const context = useTaskContext(task)
  const [chosen, choose] = useState<readonly string[]>([])
  const [note, setNote] = useState('')
  const [shown, show] = useState<boolean | null>(null)
  const [open, setOpen] = useState<'escalate' | 'near' | null>(null)
  const noteField = useRef<HTMLTextAreaElement>(null)
  const place = useFocusTaken()
  const covered = shown === null ? isCovered(settings, view.labels, [], context) : !shown

  const act = useMemo(() => {
    const toggle = (label: string) =>
      choose((now) => (now.includes(label) ? now.filter((each) => each !== label) : [...now, label]))
    return {
      toggle,
      approve: () => {
        if (covered) toast({ text: text.showFirst, id: 'labels' })
        else if (chosen.length) toast({ text: text.clearLabels, id: 'labels' })
        else onVerdict({ outcome: 'approve', labels: [], note })
      },
      reject: () => {
        if (covered) toast({ text: text.showFirst, id: 'labels' })
        else if (!chosen.length) toast({ text: text.chooseLabel, id: 'labels' })
        else onVerdict({ outcome: 'reject', labels: [...chosen], note })
      },
    }
  }, [chosen, note, covered, onVerdict, text])

  const commands = useMemo<Command[]>(() => {
    const one = (id: string, key: string | null, title: string, run: () => void) => ({ id, key, title, run, group: text.group })
    return [
      one('approve', 'a', text.approve, act.approve),
      one('reject', 'r', text.reject, act.reject),
      one('skip', 's', text.skip, desk.skip),
      one('escalate', 'e', text.escalate, () => setOpen('escalate')),
      one('near', 'b', bulk.near, () => setOpen('near')),
      { id: 'note', key: 'n', title: text.note, run: () => noteField.current?.focus(), group: text.group },
      one('cover', 'v', covered ? text.reveal : text.cover, () => show(covered)),
      one('clear', '0', text.clear, () => choose([])),
      ...view.labels.map(({ name }, place) =>
        one(`label-${name}`, place < 9 ? String(place + 1) : null, text.toggle(name), () => act.toggle(name)),
      ),
    ]
  }, [text, bulk, act, desk, covered, view.labels])
  useCommands(commands)

  const { content } = task
  return (
    <div className="review" ref={place} tabIndex={-1} role="group" aria-label={text.title}>
      <Card className="item">
        <Meta task={task} />
        {task.escalation_note ? (
          <div className="notice warn">
            <b>{text.fromLead}:</b> <HostileText>{task.escalation_note}</HostileText>
          </div>
        ) : null}
        {covered ? (
          <div className="veil">
            <p>{text.covered}</p>
            <Button onPress={() => show(true)} shortcut="v">
              {text.reveal}
            </Button>
          </div>
        ) : (
          <div className="item-text" tabIndex={0} role="region" aria-label={text.title} data-task={task.task_id}>
            {content.text || !content.context.url ? (
              <HostileText>{content.text}</HostileText>
            ) : (
              <>
                {text.noText} <OutsideLink address={content.context.url} />
              </>
            )}
          </div>
        )}
        <fieldset className="labels">
          <legend>{text.labels}</legend>
          {view.labels.map(({ name, description }, place) => (
            <button
              key={name}
              type="button"
              className="label-choice"
              aria-pressed={chosen.includes(name)}
              title={description}
              onClick={() => act.toggle(name)}
            >
              {place < 9 ? <kbd aria-hidden="true">{place + 1}</kbd> : null}
              <span>{name}</span>
            </button>
          ))}
        </fieldset>
        <div
          onKeyDown={(event) => {
            if (event.key !== 'Escape') return
            event.stopPropagation()
            noteField.current?.blur()
          }}
        >
          <Field label={text.note} hint={text.noteHint} value={note} onChange={setNote} rows={2} maxLength={2000} inputRef={noteField} />
          <SavedTexts value={note} onUse={setNote} />
        </div>
        <div className="verdict">
          <Button kind="approve" onPress={act.approve} shortcut="a">{text.approve}</Button>
          <Button kind="reject" onPress={act.reject} shortcut="r">{text.reject}</Button>
          <span className="spread not-narrow" />
          <Button onPress={() => setOpen('near')} shortcut="b">{bulk.near}</Button>
          <Button onPress={desk.skip} shortcut="s">{text.skip}</Button>
          <Button onPress={() => setOpen('escalate')} shortcut="e">{text.escalate}</Button>
        </div>
      </Card>
      <Side task={task} context={context ?? null} labels={view.labels} covered={covered} />
      {open === 'near' ? (
        <NearDialog
          task={task}
          labels={view.labels}
          covered={covered}
          onClose={() => setOpen(null)}
          onJudged={(together) => {
            setOpen(null)
            onTogether(together)
          }}
        />
      ) : null}
      {open === 'escalate' ? (
        <EscalateDialog
          onClose={() => setOpen(null)}
          onEscalate={(why) => {
            setOpen(null)
            desk.escalate(why)
          }}
        />
      ) : null}
    </div>
  )
}

/** Takes the focus where the item before had it: those who listen hear the new one, and Tab goes on from it. */
function useFocusTaken() {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (document.activeElement === document.body) place.current?.focus({ preventScroll: true })
  }, [])
  return place
}

function Meta({ task }: { task: ReviewTask }) {
  const text = useReviewMessages()
  const { content } = task
  const [openedAt] = useState(Date.now)
  const late = task.due_at !== null && Date.parse(task.due_at) < openedAt
  return (
    <div className="meta">
      {task.why === 'appeal' ? <Badge tone="info">{text.appeal}</Badge> : null}
      {late ? <Badge tone="warn">{text.overdue}</Badge> : null}
      {content.reports ? <Badge tone="warn">{text.reports(content.reports)}</Badge> : null}
      <span>{text.source}: <HostileText>{content.source}</HostileText></span>
      <span>{text.kind}: <HostileText>{content.kind}</HostileText></span>
      {content.language ? <span>{text.language}: <HostileText>{content.language}</HostileText></span> : null}
      <span>{text.queue}: {task.queue}</span>
      <span title={time(content.created_at)}>{text.created} {relative(content.created_at, openedAt)}</span>
      {task.due_at ? <span title={time(task.due_at)}>{text.due} {relative(task.due_at, openedAt)}</span> : null}
      {content.revision > 1 ? <span>{`#${number(content.revision)}`}</span> : null}
    </div>
  )
}
