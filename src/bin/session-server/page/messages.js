// What was said, as it is shown.

import { element, setText } from './dom.js';
import { textOf } from './history.js';

const NAMES = { user: 'You', assistant: 'Assistant', system: 'System', developer: 'System', tool: 'Tool' };

/** A message. */
export function bubble(message, extra = []) {
  const role = typeof message.role === 'string' ? message.role : 'unknown';
  const parts = [];
  if (typeof message.reasoning_content === 'string') parts.push(thought(message.reasoning_content));
  const text = textOf(message);
  if (text) parts.push(element('div', { class: 'text' }, text));
  if (Array.isArray(message.tool_calls)) parts.push(...message.tool_calls.map((it) => call(it?.function ?? {})));
  if (parts.length === 0) parts.push(element('div', { class: 'text nothing' }, 'nothing'));
  return frame(role, [...parts, ...extra]);
}

/** The frame of a message of that role. */
export function frame(role, children) {
  const name = NAMES[role] ?? role;
  const shown = NAMES[role] ? role : 'other';
  return element('article', { class: 'message', 'data-role': shown, 'aria-label': name },
    element('header', {}, name), ...children);
}

/** What was thought aloud, folded. */
export function thought(text) {
  return element('details', { class: 'thought' }, element('summary', {}, 'Reasoning'), element('div', { class: 'text' }, text));
}

/** A tool that was called. */
export function call({ name = '', arguments: given = '' }) {
  return element('div', { class: 'call' }, element('span', {}, `calls ${name}`), element('code', {}, String(given)));
}

/** What is told of a reply that has no record. */
const ENDS = {
  superseded: 'Not recorded: another turn of this session was recorded first.',
  stale: 'Not recorded: the session was deleted meanwhile.',
  failed: 'Interrupted, and not recorded.',
  lost: 'Interrupted, and not recorded.',
  refused: 'Not answered.',
};

/** A question and its reply, as they come. */
export class ReplyView {
  #text = element('div', { class: 'text' });
  #aside = element('div');
  #state = element('p', { class: 'state' });
  #question = element('div');
  #waiting = '';
  #timer = null;
  #live;

  constructor(reply, { again, dismiss }) {
    this.reply = reply;
    const use = element('button', { type: 'button', onclick: again }, 'Ask again');
    const away = element('button', { type: 'button', onclick: dismiss }, 'Dismiss');
    this.buttons = element('p', { class: 'actions' }, use, away);
    this.again = use;
    this.#live = frame('assistant', [this.#aside, this.#text, this.#state, this.buttons]);
    this.element = element('div', { class: 'exchange', 'data-stream': reply.stream ?? '' }, this.#question, this.#live);
    reply.addEventListener('text', ({ detail }) => this.#append(detail));
    reply.addEventListener('reset', () => this.#rewrite());
    reply.addEventListener('aside', () => this.#asides());
    reply.addEventListener('change', () => this.#change());
    this.#rewrite();
    this.#asides();
    this.#change();
  }

  /** Adds what has come at once: each change of a long text costs its length. */
  #append(text) {
    this.#waiting += text;
    this.#timer ??= setTimeout(() => this.#flush(), 0);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const last = this.#text.lastChild;
    if (last?.nodeType === Node.TEXT_NODE) last.appendData(this.#waiting);
    else if (this.#waiting !== '') this.#text.append(this.#waiting);
    this.#waiting = '';
  }

  #rewrite() {
    this.#waiting = '';
    const hole = () => element('span', { class: 'hole' }, 'a part is missing here until the reply is recorded');
    const parts = this.reply.parts.flatMap((part, place) => (place === 0 ? [part] : [hole(), part]));
    this.#text.replaceChildren(...parts.filter((part) => part !== ''));
  }

  #asides() {
    const { reasoning, calls } = this.reply;
    const open = this.#aside.querySelector('details')?.open ?? false;
    const shown = reasoning ? [thought(reasoning)] : [];
    if (shown[0]) shown[0].open = open;
    this.#aside.replaceChildren(...shown, ...calls.filter(Boolean).map(call));
  }

  #change() {
    this.#flush();
    const { reply } = this;
    const { outcome, error, question, stream } = reply;
    this.element.dataset.stream = stream ?? '';
    this.element.dataset.outcome = outcome ?? '';
    this.#live.setAttribute('aria-busy', String(!reply.over));
    const asked = question === null ? element('p', { class: 'elsewhere' }, 'Asked elsewhere') : bubble({ role: 'user', content: question });
    if (this.#question.dataset.known !== String(question)) this.#question.replaceChildren(asked);
    this.#question.dataset.known = String(question);
    const waits = reply.stream === null ? 'Waiting for an answer to begin…' : 'Replying…';
    const ended = outcome === 'committed' ? '' : [ENDS[outcome] ?? outcome, error].filter(Boolean).join(' ');
    setText(this.#state, outcome === null ? waits : ended);
    this.#state.hidden = outcome === 'committed';
    this.buttons.hidden = outcome === null || outcome === 'committed';
    this.again.hidden = question === null;
  }
}
