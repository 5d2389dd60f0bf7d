// A reply as it comes. It is read at the session's stream alone, from the start or after the last event that was seen,
// whoever has asked: so a line that breaks, a reload and a second tab all read the same characters once.

import * as api from './api.js';
import { pause, seen } from './poll.js';
import { read } from './sse.js';

/** How long is waited before a line that broke is taken up again, in milliseconds. */
const SOON = 200;
const LATEST = 3_000;

/** The number in a cursor: how many events of the turn were seen. */
function number(cursor) {
  return cursor === null ? 0 : Number.parseInt(cursor.slice(cursor.lastIndexOf('-') + 1), 16);
}

export class Reply extends EventTarget {
  /** What was said so far: texts with a hole between each two. */
  parts = [''];
  /** What was thought aloud. */
  reasoning = '';
  /** The tools that are called, by their place. */
  calls = [];
  /** The last event that was seen. */
  cursor = null;
  /** How it ended: a word of the server's, `refused`, `failed` or `lost`. */
  outcome = null;
  /** What is wrong. */
  error = null;
  #told = null;
  #over = new AbortController();

  /**
   * `question` is null if it was asked elsewhere. `stream` is null until it is known. `base` is how many records
   * there were when it began.
   */
  constructor({ session, stream = null, question = null, base = 0, name = null, before = null, partial = '' }) {
    super();
    Object.assign(this, { session, stream, question, base, name, before, partial });
  }

  get over() {
    return this.outcome !== null;
  }

  get text() {
    return this.parts.join('');
  }

  /** Stops reading; the turn goes on. */
  leave() {
    this.#over.abort();
  }

  get left() {
    return this.#over.signal;
  }

  /** Follows a stream until its turn is over. */
  async follow(stream) {
    this.stream = stream;
    this.dispatchEvent(new Event('change'));
    let wait = SOON;
    while (!this.over && !this.left.aborted) {
      const before = this.cursor;
      try {
        await seen(this.left);
        await this.#read();
      } catch (error) {
        if (this.left.aborted) return;
        if (error.status === 404 || error.status === 410) this.end('lost', error.message);
      }
      if (this.cursor !== before) wait = SOON;
      if (!this.over) await pause(wait, this.left);
      wait = Math.min(2 * wait, LATEST);
    }
  }

  /** Reads on, for as long as somebody looks: a browser has few lines to one server, for all tabs together. */
  async #read() {
    const away = new AbortController();
    const look = () => {
      if (document.hidden || this.left.aborted) away.abort();
    };
    document.addEventListener('visibilitychange', look);
    this.left.addEventListener('abort', look);
    try {
      await this.#readUntil(away.signal);
    } finally {
      document.removeEventListener('visibilitychange', look);
      this.left.removeEventListener('abort', look);
    }
  }

  async #readUntil(signal) {
    const place = this.cursor === null ? { stream_id: this.stream } : { after: this.cursor };
    const where = `${api.path(this.session)}/stream?${new URLSearchParams(place)}`;
    const response = await api.ask('GET', where, { signal });
    if (response.status === 204) return this.end('lost', 'the server has nothing of this turn any more');
    const stream = response.headers.get('x-session-stream');
    for await (const event of read(response.body)) {
      if (this.left.aborted) return;
      this.#take(event, stream);
      if (this.over) return;
    }
  }

  #take({ kind, id, data, comments }, stream) {
    for (const comment of comments) {
      const [name, value] = comment.split(': ');
      if (name === 'x-session-commit') this.#told = value;
    }
    if (data === null) return;
    if (kind === 'reset') return this.#reset(JSON.parse(data), stream);
    if (kind === 'gap') this.#hole();
    else if (data === '[DONE]') this.end(this.#told ?? 'committed');
    else this.#chunk(data);
    if (id !== null) this.cursor = id;
  }

  /** The place to read on from could not be used. */
  #reset({ error, go_on: goOn }, stream) {
    if (goOn === null || stream !== this.stream) return this.end('lost', error);
    const [seen, next] = [number(this.cursor), number(goOn)];
    if (next < seen) {
      // It is read from there once more.
      this.parts = [''];
      this.reasoning = '';
      this.calls = [];
    }
    if (next > (next < seen ? 0 : seen)) this.#hole();
    this.cursor = goOn;
    this.dispatchEvent(new Event('reset'));
    this.dispatchEvent(new Event('aside'));
  }

  #hole() {
    this.parts.push('');
    this.dispatchEvent(new Event('reset'));
  }

  #chunk(data) {
    let chunk;
    try {
      chunk = JSON.parse(data);
    } catch {
      return;
    }
    const choice = chunk?.choices?.find?.((it) => (it?.index ?? 0) === 0);
    if (!choice) {
      if (chunk?.error !== undefined && chunk.choices === undefined) this.end('failed', api.told(chunk.error));
      return;
    }
    const said = choice.delta ?? choice.message ?? {};
    if (typeof said.reasoning_content === 'string') this.#think(said.reasoning_content);
    if (Array.isArray(said.tool_calls)) said.tool_calls.forEach((call, place) => this.#call(call, place));
    if (typeof said.content === 'string' && said.content !== '') {
      this.parts[this.parts.length - 1] += said.content;
      this.dispatchEvent(new CustomEvent('text', { detail: said.content }));
    }
  }

  #think(text) {
    this.reasoning += text;
    this.dispatchEvent(new Event('aside'));
  }

  #call(call, place) {
    const at = call?.index ?? place;
    this.calls[at] ??= { name: '', arguments: '' };
    this.calls[at].name += call?.function?.name ?? '';
    this.calls[at].arguments += call?.function?.arguments ?? '';
    this.dispatchEvent(new Event('aside'));
  }

  /** It is over. */
  end(outcome, error = null) {
    if (this.over) return;
    this.outcome = outcome;
    this.error = error;
    // What was seen before a reload is all that is left of a turn that the server has lost.
    if (outcome === 'lost' && this.text === '' && this.partial) {
      this.parts = [this.partial];
      this.dispatchEvent(new Event('reset'));
    }
    this.dispatchEvent(new Event('change'));
    this.dispatchEvent(new Event('over'));
  }
}
