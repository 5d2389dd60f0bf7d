// Counters, with what they were over the last minutes. The page remembers; the server does not.

import * as api from './api.js';
import { element, setText } from './dom.js';
import { count, took } from './format.js';
import { parse, sum } from './metrics.js';
import { Plot } from './plot.js';
import { poll, server } from './poll.js';

/** How often is looked, in milliseconds, and how far back the plots go, in seconds. */
const EVERY = 2_000;
const LENGTH = 300;

const gauge = (name, labels) => (samples) => sum(samples, name, labels);
const either = (...all) => (samples) => all.reduce((total, [name, labels]) => total + sum(samples, name, labels), 0);

/** What is shown: as it is, as so many a second, or as one total by another since the last look. */
const COUNTERS = [
  { name: 'Sessions', what: 'in memory', now: gauge('session_live') },
  { name: 'Stored', what: 'sessions in the store, as last counted', now: gauge('session_limit_current', { limit: 'sessions' }) },
  { name: 'Turns running', what: 'in all sessions', now: gauge('session_turns_open') },
  { name: 'Waiting', what: 'turns that wait in a queue or for a permit', now: either(
    ['session_limit_current', { limit: 'queued_turns' }], ['session_limit_current', { limit: 'waiting_turns' }]) },
  { name: 'Turns', unit: '/s', what: 'begun a second', rate: gauge('session_turns_begun_total') },
  { name: 'Chunks', unit: '/s', what: 'streamed a second', rate: gauge('session_chunks_total') },
  { name: 'Requests', unit: '/s', what: 'answered a second', rate: gauge('session_server_requests_total') },
  { name: 'Latency', what: 'until the head of an answer, mean', form: took, rate: gauge('session_server_request_seconds_sum'),
    by: gauge('session_server_request_seconds_count') },
  { name: 'Turn time', what: 'of turns that have ended, mean', form: took, rate: gauge('session_turn_seconds_sum'),
    by: gauge('session_turn_seconds_count') },
  { name: 'Refused', unit: '/s', what: 'by a limit, a policy or for want of a token, a second', rate: either(
    ['session_server_refused_total'], ['session_server_limit_rejected_total'], ['session_limit_rejected_total'],
    ['session_begins_refused_total']) },
  { name: 'Upstream', what: 'requests open there', now: gauge('session_server_limit_current', { limit: 'upstream_connections' }) },
  { name: 'Store failures', what: 'since the start', now: gauge('session_store_failures_total') },
];

class Counter {
  #points = [];
  #last = null;
  #plot = new Plot();
  #value = element('output', { class: 'value' }, '–');

  constructor(told) {
    this.told = told;
    const name = element('span', { class: 'name' }, told.name);
    this.element = element('li', { class: 'counter', title: told.what }, name, this.#value, this.#plot.element);
  }

  /** Takes another look. */
  take(samples, at) {
    const { now, rate, by } = this.told;
    const last = this.#last;
    this.#last = { at, total: rate?.(samples), base: by?.(samples) };
    let value = now ? now(samples) : null;
    if (rate && last && this.#last.total >= last.total) {
      const base = by ? this.#last.base - last.base : at - last.at;
      value = base > 0 ? (this.#last.total - last.total) / base : null;
    }
    if (value !== null) this.#points.push([at, value]);
    this.draw(value, at);
  }

  /** A line through what two runs of the server say would say nothing. */
  forget() {
    this.#last = null;
  }

  draw(value, at) {
    while (this.#points.length > 0 && this.#points[0][0] < at - LENGTH) this.#points.shift();
    const form = this.told.form ?? count;
    const unit = this.told.unit ?? '';
    const shown = value === null ? '–' : form(value) + unit;
    setText(this.#value, shown);
    const values = this.#points.map(([, it]) => it);
    const range = values.length > 0 ? `, between ${form(Math.min(...values))} and ${form(Math.max(...values))}` : '';
    const label = `${this.told.name}, ${this.told.what}: now ${shown}${range} in the last ${LENGTH / 60} minutes`;
    this.#plot.draw(this.#points, at, LENGTH, label);
  }
}

/** Fills the list of counters, and goes on. */
export function show(list) {
  const counters = COUNTERS.map((told) => new Counter(told));
  list.append(...counters.map((counter) => counter.element));
  server.addEventListener('back', () => counters.forEach((counter) => counter.forget()));
  poll(async () => {
    const response = await api.ask('GET', '/metrics');
    const samples = parse(await response.text());
    const at = performance.now() / 1000;
    for (const counter of counters) counter.take(samples, at);
  }, EVERY);
}
