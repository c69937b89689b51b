import { useId, type ReactNode, type Ref } from 'react'
import { FieldError, Input, Label, Text, TextArea, TextField } from 'react-aria-components'

interface Props {
  label: string
  value: string
  onChange: (value: string) => void
  hint?: ReactNode
  /** What is wrong with the value; the field is marked and the text read out. */
  error?: string | null
  type?: 'text' | 'password' | 'search' | 'number' | 'datetime-local'
  autoComplete?: string
  isRequired?: boolean
  autoFocus?: boolean
  rows?: number
  maxLength?: number
  inputRef?: Ref<HTMLTextAreaElement>
}

/** A labelled text field; with `rows`, of several lines. */
export function Field({ label, hint, error, rows, inputRef, ...rest }: Props) {
  return (
    <TextField className="field" isInvalid={Boolean(error)} validationBehavior="aria" {...rest}>
      <Label>{label}</Label>
      {rows ? <TextArea rows={rows} dir="auto" ref={inputRef ?? null} /> : <Input dir="auto" />}
      {hint ? <Text slot="description">{hint}</Text> : null}
      <FieldError>{error}</FieldError>
    </TextField>
  )
}

interface ChoiceProps<Value extends string> {
  label: string
  value: Value
  onChange: (value: Value) => void
  options: readonly (readonly [Value, string])[]
  hint?: string
}

/** One of a few values: the browser's own list, which every assistive technology knows. */
export function Choice<Value extends string>({ label, value, onChange, options, hint }: ChoiceProps<Value>) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        value={value}
        onChange={(event) => onChange(event.target.value as Value)}
        {...(hint ? { 'aria-describedby': `${id}-hint` } : {})}
      >
        {options.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
      {hint ? (
        <span id={`${id}-hint`} slot="description">
          {hint}
        </span>
      ) : null}
    </div>
  )
}

/** Yes or no. */
export function Check({ label, value, onChange }: { label: string; value: boolean; onChange: (value: boolean) => void }) {
  return (
    <label className="check">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.target.checked)} />
      <span>{label}</span>
    </label>
  )
}
