// Server-sent events, as the HTML standard has them.

/** One event; `id` is the last that was given, by this event or one before it. */
export interface ServerEvent {
  id: string
  name: string
  data: string
}

/** Puts events together from bytes, however these are cut. */
export class Events {
  #decoder = new TextDecoder()
  #rest = ''
  #id = ''
  #name = ''
  #data: string[] = []

  #field(line: string): void {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'data') this.#data.push(value)
    else if (name === 'event') this.#name = value
    else if (name === 'id' && !value.includes('\0')) this.#id = value
  }

  #complete(): ServerEvent {
    const event = { id: this.#id, name: this.#name || 'message', data: this.#data.join('\n') }
    this.#name = ''
    this.#data = []
    return event
  }

  /** The events that are complete with these bytes. */
  *feed(more: Uint8Array): Generator<ServerEvent> {
    const lines = (this.#rest + this.#decoder.decode(more, { stream: true })).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line !== '') this.#field(line)
      else if (this.#data.length > 0) yield this.#complete()
      else this.#name = ''
    }
  }
}
