// Reads server-sent events, as the standard has them, from pieces that may be cut anywhere. `EventSource` could not
// show a token.

/** Takes text in pieces; answers the events that are whole by then. */
export class Parser {
  #rest = '';
  #first = true;
  #event = fresh();

  feed(text) {
    let all = this.#rest + text;
    // A carriage return at the end was looked at, but not what follows it.
    let from = Math.max(0, this.#rest.length - 1);
    if (this.#first && all.length > 0) {
      this.#first = false;
      if (all.startsWith('\uFEFF')) all = all.slice(1);
    }
    const events = [];
    let start = 0;
    for (;;) {
      const end = endOfLine(all, from);
      if (end === null) break;
      const event = this.#line(all.slice(start, end.at));
      if (event) events.push(event);
      start = from = end.next;
    }
    this.#rest = all.slice(start);
    return events;
  }

  /** Takes a line; answers the event that it ends. */
  #line(line) {
    if (line === '') {
      const event = this.#event;
      this.#event = fresh();
      if (event.data.length === 0 && event.comments.length === 0) return null;
      return { ...event, data: event.data.length === 0 ? null : event.data.join('\n') };
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (colon === 0) this.#event.comments.push(value);
    else if (name === 'data') this.#event.data.push(value);
    else if (name === 'event') this.#event.kind = value;
    else if (name === 'id' && !value.includes('\0')) this.#event.id = value;
    return null;
  }
}

function fresh() {
  return { kind: 'message', id: null, data: [], comments: [] };
}

/** Where the first line ends that ends at `from` or later; `null` while that is not known. */
function endOfLine(text, from) {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '\n') return { at, next: at + 1 };
    if (text[at] === '\r') {
      // A line feed may follow, which is part of the same end.
      if (at + 1 === text.length) return null;
      return { at, next: text[at + 1] === '\n' ? at + 2 : at + 1 };
    }
  }
  return null;
}

/** The events of a body, as they come. */
export async function* read(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parser = new Parser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const text = done ? decoder.decode() : decoder.decode(value, { stream: true });
      yield* parser.feed(text);
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
