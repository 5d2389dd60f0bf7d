// The records of a session, newest last. What is in one is built when it is opened.

import { element } from './dom.js';
import { moment, took } from './format.js';
import { answered, asked, question, textOf } from './history.js';
import { bubble } from './messages.js';

/** How many are shown at first, and how many more at a time. */
const SHOWN = 50;

/** How much of a body is shown at first, in characters. */
const LONG = 20_000;

export class Records {
  #from = null;
  #open = new Set();

  constructor(conversation) {
    this.conversation = conversation;
    this.list = element('ol', { class: 'records' });
    this.none = element('p', { class: 'hint' }, 'No turn was recorded yet.');
    this.earlier = element('button', { type: 'button', class: 'earlier', onclick: () => this.#earlier() }, 'Show earlier');
    this.element = element('section', { class: 'scroll', 'aria-label': 'Records' }, this.earlier, this.none, this.list);
    conversation.addEventListener('records', () => this.#show());
    this.#show();
  }

  focus() {
    this.element.querySelector('summary')?.focus();
  }

  #earlier() {
    this.#from = Math.max(0, this.#from - SHOWN);
    this.#show();
  }

  #show() {
    const { records } = this.conversation;
    this.#from ??= records.length > 0 ? Math.max(0, records.length - SHOWN) : null;
    const from = this.#from ?? 0;
    this.none.hidden = records.length > 0;
    this.earlier.hidden = from === 0;
    const there = new Map([...this.list.children].map((item) => [item.dataset.place, item]));
    const items = records.slice(from).map((record, at) => {
      const place = from + at;
      const known = there.get(String(place));
      return known?.dataset.at === String(record.timestamp) ? known : this.#item(record, place);
    });
    this.list.replaceChildren(...items);
  }

  #item(record, place) {
    const number = element('span', { class: 'number' }, `#${place + 1}`);
    const status = element('span', { class: 'badge', 'data-state': record.status_code === 200 ? 'active' : 'ended' }, record.status_code);
    const lasted = element('span', { class: 'dim' }, took(record.timestamp - record.request_timestamp));
    const at = element('time', { class: 'dim' }, moment(record.timestamp));
    const start = element('span', { class: 'start' }, question(record).slice(0, 200) || textOf(answered(record)).slice(0, 200));
    const details = element('details', {}, element('summary', {}, number, status, lasted, at, start));
    details.addEventListener('toggle', () => {
      if (details.open && details.children.length === 1) details.append(body(record));
    });
    return element('li', { 'data-place': place, 'data-at': record.timestamp }, details);
  }
}

function body(record) {
  const where = element('p', { class: 'dim' }, `${record.method} ${record.path}, model ${String(record.request?.model ?? '–')}`);
  const said = [...asked(record).map((message) => bubble(message)), bubble(answered(record))];
  return element('div', { class: 'record' }, where, ...said, json('Request', record.request), json('Response', record.response));
}

/** A body as JSON, folded; written when it is looked at. */
function json(name, value) {
  const details = element('details', {}, element('summary', {}, `${name} as JSON`));
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    const text = JSON.stringify(value, null, 2) ?? '';
    const shown = element('pre', { tabindex: '0' }, text.slice(0, LONG));
    details.append(shown);
    if (text.length <= LONG) return;
    const all = element('button', { type: 'button' }, `Show all ${text.length} characters`);
    all.addEventListener('click', () => {
      shown.textContent = text;
      all.remove();
    });
    details.append(all);
  });
  return details;
}
