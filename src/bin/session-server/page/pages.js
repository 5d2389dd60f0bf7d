// Where one is in a list that the server hands out page by page, oldest first. The newest are looked for first: by
// large steps to the last of them, then by small ones, so that ten thousand sessions take twenty requests once and
// one for each look.

import * as api from './api.js';

/** How many sessions one step is. */
export const STEP = 100;

/** How many a large step is: as many as the server hands out at once. */
const LEAP = 1_000;

/** How many requests looking for the newest may take. */
const MOST = 1_000;

export class Pages {
  /** Where the large steps begin, and which one it is in. */
  #leaps = [null];
  #leap = 0;
  /** Where the small steps of that begin, and which one it is at. */
  #steps = [null];
  #step = 0;

  constructor(state) {
    this.state = state;
  }

  /** Goes to the newest. */
  async newest() {
    this.#leaps = await this.#walk(null, LEAP, MOST);
    await this.#enter(this.#leaps.length - 1);
    this.#step = this.#last();
  }

  /** What is here, newest first; goes on by itself where the newest are looked at and more have come. */
  async read() {
    const { sessions, next } = await this.#ask(this.#steps[this.#step], 2 * STEP);
    const newest = !this.hasNewer;
    if (newest && next !== null) {
      const more = await this.#ask(next, 1);
      if (more.sessions.length > 0) await this.newest();
    }
    return sessions.reverse();
  }

  get hasNewer() {
    return this.#leap < this.#leaps.length - 1 || this.#step < this.#last();
  }

  get hasOlder() {
    return this.#leap > 0 || this.#step > 0;
  }

  async older() {
    if (this.#step > 0) this.#step = Math.max(0, this.#step - 2);
    else if (this.#leap > 0) {
      await this.#enter(this.#leap - 1);
      this.#step = this.#last();
    }
  }

  async newer() {
    if (this.#step < this.#last()) this.#step = Math.min(this.#last(), this.#step + 2);
    else if (this.#leap < this.#leaps.length - 1) {
      await this.#enter(this.#leap + 1);
      this.#step = 0;
    }
  }

  /** The last step from which two fill what is seen. */
  #last() {
    return Math.max(0, this.#steps.length - 2);
  }

  async #enter(leap) {
    this.#leap = leap;
    this.#steps = await this.#walk(this.#leaps[leap], STEP, LEAP / STEP);
  }

  /** Where pages of that size begin, from `start` on. */
  async #walk(start, limit, most) {
    const starts = [start];
    while (starts.length < most) {
      const { sessions, next } = await this.#ask(starts.at(-1), limit);
      if (next === null) break;
      starts.push(next);
      if (sessions.length === 0 && this.state === '') break;
    }
    return starts;
  }

  #ask(after, limit) {
    const query = new URLSearchParams({ limit });
    if (after !== null) query.set('after', after);
    if (this.state) query.set('state', this.state);
    return api.get(`/sessions?${query}`);
  }
}
