// The list of sessions, which fills itself.

import * as api from './api.js';
import { byId, element, setText } from './dom.js';
import { moment, span } from './format.js';
import { Pages } from './pages.js';
import { poll } from './poll.js';

/** How often is looked, in milliseconds. */
const EVERY = 2_000;

/** Where a session is shown. */
export function address(id) {
  return `#/s/${encodeURIComponent(id)}`;
}

/** One session in the list. Its element stays the same for as long as it is listed, and with it the focus. */
class Row {
  constructor(id) {
    this.link = element('a', { href: address(id), class: 'id', title: id }, id);
    this.key = element('span', { class: 'key' });
    this.state = element('span', { class: 'badge' });
    this.turn = element('span', { class: 'turn' });
    this.queue = element('span');
    this.kept = element('span', { class: 'kept' });
    this.age = element('time');
    this.used = element('time');
    const cell = (label, ...children) => element('td', { 'data-label': label }, ...children);
    const name = element('th', { scope: 'row' }, this.link, this.key);
    this.element = element('tr', {}, name, cell('State', this.state), cell('Turn', this.turn),
      cell('Queued', this.queue), cell('Kept by', this.kept), cell('Age', this.age), cell('Used', this.used));
  }

  fill(session, at) {
    setText(this.key, session.key ?? '');
    setText(this.state, session.state);
    this.state.dataset.state = session.state;
    const runs = session.active_stream !== null;
    setText(this.turn, session.phase === 'idle' ? '–' : session.phase);
    this.turn.dataset.runs = runs;
    this.turn.title = runs ? `stream ${session.active_stream}` : '';
    setText(this.queue, session.queued === 0 ? '–' : String(session.queued));
    setText(this.kept, keeps(session));
    setText(this.age, span(at - session.created_at));
    this.age.title = moment(session.created_at);
    setText(this.used, span(at - session.last_activity));
    this.used.title = moment(session.last_activity);
    this.text = `${session.session_id} ${session.key ?? ''}`.toLowerCase();
  }
}

/** What keeps a session, in words. */
export function keeps(session) {
  const leases = session.leases.map((lease) => lease.purpose).join(', ');
  const named = session.kept_by.map((it) => it.replace('_', ' '));
  if (leases && named.includes('lease')) named[named.indexOf('lease')] = `lease (${leases})`;
  return named.join(', ') || '–';
}

export class Sessions {
  #rows = new Map();
  #order = [];
  #pages = new Pages('');
  #fresh = true;
  #selected = null;

  constructor() {
    this.body = byId('rows');
    this.filter = byId('filter');
    this.state = byId('state');
    this.filter.addEventListener('input', () => this.#sift());
    this.filter.addEventListener('keydown', (event) => this.#open(event));
    this.state.addEventListener('change', () => this.#turn(() => this.#start()));
    byId('older').addEventListener('click', () => this.#turn(() => this.#pages.older()));
    byId('newer').addEventListener('click', () => this.#turn(() => this.#pages.newer()));
    byId('newest').addEventListener('click', () => this.#turn(() => this.#start()));
    byId('sessions').addEventListener('keydown', (event) => this.#move(event));
    this.polling = poll(() => this.#read(), EVERY);
  }

  /** Marks the one that is open. */
  select(id) {
    this.#selected = id;
    for (const [other, row] of this.#rows) mark(row, other === id);
  }

  /** Puts the focus on a session, or on the filter if it is not listed. */
  focus(id) {
    (this.#rows.get(id)?.link ?? this.filter).focus();
  }

  now() {
    return this.polling.now();
  }

  #start() {
    this.#pages = new Pages(this.state.value);
    this.#fresh = true;
  }

  /** Goes somewhere else in the list. */
  async #turn(how) {
    try {
      await how();
    } catch (error) {
      setText(byId('listed'), error.message);
    }
    this.now();
  }

  async #read() {
    const pages = this.#pages;
    if (this.#fresh) {
      await pages.newest();
      this.#fresh = false;
    }
    const sessions = await pages.read();
    // Another page was asked for meanwhile.
    if (pages === this.#pages) this.#show(sessions);
  }

  #show(sessions) {
    const at = api.now();
    const seen = new Set();
    this.#order = sessions.map((session) => {
      const id = session.session_id;
      seen.add(id);
      if (!this.#rows.has(id)) this.#rows.set(id, new Row(id));
      const row = this.#rows.get(id);
      row.fill(session, at);
      mark(row, id === this.#selected);
      return row;
    });
    for (const [id, row] of this.#rows) {
      if (seen.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    // Only what is in another place is moved: the focus is lost with a move.
    this.#order.forEach((row, place) => {
      const there = this.body.children[place];
      if (there !== row.element) this.body.insertBefore(row.element, there ?? null);
    });
    this.#sift();
  }

  #sift() {
    const wanted = this.filter.value.trim().toLowerCase();
    let shown = 0;
    for (const row of this.#order) {
      row.element.hidden = !row.text.includes(wanted);
      shown += row.element.hidden ? 0 : 1;
    }
    const more = this.#pages.hasOlder || this.#pages.hasNewer;
    const place = this.#pages.hasNewer ? ' here' : ', the newest';
    const all = `${this.#order.length} session${this.#order.length === 1 ? '' : 's'}${more ? place : ''}`;
    setText(byId('listed'), wanted ? `${shown} of ${all}` : all);
    byId('empty').hidden = shown > 0;
    byId('pager').hidden = !more;
    byId('older').disabled = !this.#pages.hasOlder;
    byId('newer').disabled = byId('newest').disabled = !this.#pages.hasNewer;
  }

  /** Enter in the filter opens the only one that is left, or the one of that very id. */
  #open(event) {
    if (event.key === 'ArrowDown') {
      this.#links()[0]?.focus();
      event.preventDefault();
    }
    if (event.key !== 'Enter') return;
    const typed = this.filter.value.trim();
    const left = this.#links();
    if (left.length === 1) location.hash = left[0].hash;
    else if (typed) location.hash = address(typed);
  }

  #links() {
    return this.#order.filter((row) => !row.element.hidden).map((row) => row.link);
  }

  #move(event) {
    if (event.defaultPrevented) return;
    const links = this.#links();
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    if (to < 0) this.filter.focus();
    else links[to]?.focus();
  }
}

function mark(row, selected) {
  if (selected) row.link.setAttribute('aria-current', 'page');
  else row.link.removeAttribute('aria-current');
}
