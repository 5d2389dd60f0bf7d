// A conversation, to read and to go on with.

import { announce, element, setText } from './dom.js';
import { added, answered } from './history.js';
import { bubble, ReplyView } from './messages.js';

const MODEL = 'session-server.model';

/** How many records are shown at first, and how many more at a time. */
const SHOWN = 50;

/** How much of a reply is read aloud by itself, in characters. */
const SPOKEN = 2_000;

export class Chat {
  #views = new Map();
  #shown = 0;
  #from = 0;
  #seen = [];
  sticks = true;
  drawing = null;

  constructor(conversation, { problem }) {
    this.conversation = conversation;
    this.tell = problem;
    this.earlier = element('button', { type: 'button', class: 'earlier', onclick: () => this.#earlier() }, 'Show earlier');
    this.past = element('div', { class: 'past' });
    this.coming = element('div', { class: 'coming' });
    this.hint = element('p', { class: 'hint' }, 'Nothing was said yet.');
    this.log = element('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Conversation', tabindex: '0',
      onscroll: () => this.#scrolled() },
      this.earlier, this.past, this.hint, this.coming);
    this.element = element('section', { class: 'chat', 'aria-label': 'Chat' }, this.log, this.#composer());
    const hear = (name, what) => conversation.addEventListener(name, () => what.call(this));
    hear('records', this.#records);
    hear('replies', this.#replies);
    hear('status', this.#status);
    this.#records();
    this.#status();
  }

  #composer() {
    this.field = element('textarea', { id: 'say', rows: '2', placeholder: 'Say something', autocomplete: 'off',
      onkeydown: (event) => this.#key(event) });
    const model = localStorage.getItem(MODEL) ?? 'default';
    this.model = element('input', { id: 'model', value: model, autocomplete: 'off', spellcheck: 'false',
      onchange: () => localStorage.setItem(MODEL, this.model.value.trim() || 'default') });
    this.send = element('button', { type: 'submit', class: 'primary' }, 'Send');
    this.stop = element('button', { type: 'button', onclick: () => this.#stop() }, 'Stop');
    const label = element('label', { for: 'say', class: 'hidden' }, 'Message');
    const named = element('label', { for: 'model' }, 'Model', this.model);
    const onsubmit = (event) => {
      event.preventDefault();
      this.#say();
    };
    return element('form', { class: 'composer', onsubmit }, label, this.field,
      element('div', { class: 'controls' }, named, this.stop, this.send));
  }

  focus() {
    this.field.focus();
  }

  #key(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#say();
  }

  async #say() {
    const text = this.field.value;
    if (text.trim() === '' || this.send.disabled) return;
    this.send.disabled = true;
    try {
      await this.conversation.say(text, this.model.value.trim() || 'default');
      this.field.value = '';
      this.tell('');
      this.sticks = true;
      this.#down();
    } catch (error) {
      this.tell(`It was not sent: ${error.message}`);
    }
    this.send.disabled = false;
  }

  async #stop() {
    try {
      const cancelled = await this.conversation.stop();
      if (!cancelled) this.tell('There was nothing to stop.');
    } catch (error) {
      this.tell(error.message);
    }
  }

  #status() {
    const { status, isRunning } = this.conversation;
    this.stop.disabled = !isRunning && (status === null || status.active_stream === null);
  }

  #earlier() {
    this.#from = Math.max(0, this.#from - SHOWN);
    this.#shown = 0;
    this.#records();
  }

  /** Shows the records that are not shown, and takes away the replies that are in them. */
  #records() {
    const { records } = this.conversation;
    const goesOn = this.#seen.length <= records.length && this.#seen.every((it, at) => it === records[at].timestamp);
    if (!goesOn || this.#shown === 0) {
      if (!goesOn || this.#seen.length === 0) this.#from = Math.max(0, records.length - SHOWN);
      this.#shown = this.#from;
      this.past.replaceChildren();
    }
    const fresh = records.slice(this.#shown).flatMap((record, place) => this.#exchange(record, this.#shown + place));
    this.past.append(...fresh);
    if (this.#seen.length > 0 && records.length > this.#seen.length) announce('The reply is recorded.');
    this.#shown = records.length;
    this.#seen = records.map((record) => record.timestamp);
    this.earlier.hidden = this.#from === 0;
    this.#replies();
  }

  #exchange(record, place) {
    const before = this.conversation.records[place - 1];
    const { goesOn, messages } = added(record, before);
    const line = goesOn ? [] : [element('p', { class: 'break' }, 'Asked with another history')];
    return [...line, ...messages.map((message) => bubble(message)), bubble(answered(record))];
  }

  #replies() {
    const { replies, records } = this.conversation;
    for (const [reply, view] of this.#views) {
      if (replies.includes(reply)) continue;
      view.element.remove();
      this.#views.delete(reply);
    }
    for (const reply of replies.filter((it) => !this.#views.has(it))) {
      const view = new ReplyView(reply, {
        again: () => this.#again(reply),
        dismiss: () => this.#dismiss(reply),
      });
      this.#views.set(reply, view);
      this.coming.append(view.element);
      reply.addEventListener('text', () => this.#later());
      reply.addEventListener('over', () => announce(reply.outcome === 'committed' ? `Assistant: ${reply.text.slice(0, SPOKEN)}` : 'The reply was interrupted.'));
    }
    this.hint.hidden = replies.length > 0 || records.length > 0;
    this.#status();
    this.#down();
  }

  /** Puts a question back into the field. */
  #again(reply) {
    this.field.value = reply.question;
    this.#dismiss(reply);
  }

  #dismiss(reply) {
    this.conversation.dismiss(reply);
    this.field.focus();
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.log;
    this.sticks = scrollHeight - scrollTop - clientHeight < 32;
  }

  /** Goes down with what comes, once for each picture. */
  #later() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      this.#down();
    });
  }

  /** To the end, unless its reader has gone up from there. */
  #down() {
    if (this.sticks) this.log.scrollTop = this.log.scrollHeight;
  }
}
