// One session: its records, and the replies that are not in one yet. The records are the truth.
//
// No character is shown twice because records are read anew only while no reply is on its way, and a reply goes in the
// same step in which its record comes. None is lost because a turn that has committed is in the records before its
// stream says so.

import * as api from './api.js';
import * as questions from './asked.js';
import { answered, history, question as questionOf, textOf } from './history.js';
import { poll } from './poll.js';
import { Reply } from './reply.js';

/** How often is looked whether somebody else has begun a turn, in milliseconds. */
const EVERY = 1_000;

/** Tells of `records`, `replies`, `status` and `gone`. */
export class Conversation extends EventTarget {
  records = [];
  replies = [];
  status = null;
  /** Why it cannot be shown. */
  problem = null;
  /** Of which change of the session the records are, at least. */
  #version = null;
  /** What is done one after the other. */
  #line = Promise.resolve();
  /** Whether what was asked before a reload was taken up. */
  #remembers = false;
  #over = new AbortController();
  #saved = () => this.#save();

  constructor(id) {
    super();
    this.id = id;
    this.path = api.path(id);
    addEventListener('pagehide', this.#saved);
    this.polling = poll(() => this.#alone(() => this.#look()), EVERY);
  }

  /** Whether a reply is on its way. */
  get isRunning() {
    return this.replies.some((reply) => !reply.over);
  }

  /** Leaves it; what runs goes on. */
  leave() {
    this.#save();
    removeEventListener('pagehide', this.#saved);
    this.polling.stop();
    this.#over.abort();
    for (const reply of this.replies) reply.leave();
  }

  /** Does something when nothing else is done. */
  #alone(work) {
    const done = this.#line.then(() => (this.#over.signal.aborted ? undefined : work()));
    this.#line = done.catch(() => {});
    return done;
  }

  /** Looks what is happening, and reads the records if they are others. */
  async #look() {
    try {
      const status = await api.get(`${this.path}/status`, { signal: this.#over.signal });
      this.#take(status);
      // It was told before the records are read: they are of that version, or of a later.
      const version = `${status.version} of ${status.created_at}`;
      if (version !== this.#version && !this.isRunning) await this.#readRecords(version);
      else this.#join(this.status.active_stream);
    } catch (error) {
      if (error.status === 404 || error.status === 410 || error.status === 400) this.#gone(error);
      throw error;
    }
  }

  #take(status) {
    this.status = status;
    this.problem = null;
    this.dispatchEvent(new Event('status'));
  }

  async #readRecords(version) {
    const body = await api.get(this.path, { signal: this.#over.signal });
    this.records = body.records;
    this.#version = version;
    this.#remember();
    this.replies = this.replies.filter((reply) => !(reply.over && this.#isDone(reply)) || this.#drop(reply));
    this.dispatchEvent(new Event('records'));
    this.#take(body.metadata);
    // It was told after the records were read: a turn that still ran is in none of them.
    this.#join(body.metadata.active_stream);
  }

  /** Takes up what was asked before a reload. */
  #remember() {
    if (this.#remembers) return;
    this.#remembers = true;
    for (const it of questions.list(this.id)) {
      const reply = this.#add({ ...it, session: this.id });
      if (this.#hasRecordOf(reply)) reply.end('committed');
      else if (it.ended) reply.end(it.ended.outcome, it.ended.error);
      else if (it.stream) this.#follow(reply, it.stream);
    }
  }

  /** Whether there is nothing to show of a reply beside the records. */
  #isDone(reply) {
    if (reply.outcome !== 'lost') return reply.outcome === 'committed';
    // Of what somebody else asked and nothing was read of, there is nothing to show.
    return this.#hasRecordOf(reply) || (reply.question === null && reply.text === '');
  }

  #hasRecordOf(reply) {
    return this.records.slice(reply.base).some((record) => {
      const isAsked = reply.question === null || reply.question === questionOf(record);
      return isAsked && textOf(answered(record)).startsWith(reply.parts[0]);
    });
  }

  #drop(reply) {
    if (reply.name !== null) questions.forget(this.id, reply.name);
    reply.leave();
    return false;
  }

  /** Follows a turn that nobody here has begun, or of which that is not known yet. */
  #join(stream) {
    const unnamed = this.replies.find((reply) => reply.stream === null && !reply.over);
    if (unnamed && !unnamed.asking) {
      if (stream !== null && stream !== unnamed.before) return this.#follow(unnamed, stream);
      unnamed.end('lost', 'the line broke before the answer began');
    }
    if (stream === null || this.replies.some((reply) => reply.stream === stream)) return;
    // The turn that was asked for here is named with the head of its answer; before that, nothing is said in it.
    if (unnamed?.asking && stream !== unnamed.before) return;
    const reply = this.#add({ session: this.id, stream, base: this.records.length });
    const know = (question) => {
      reply.question ??= question;
      reply.dispatchEvent(new Event('change'));
    };
    questions.ask(this.id, stream, know, reply.left);
    this.#follow(reply, stream);
  }

  #add(what) {
    const reply = new Reply(what);
    this.replies = [...this.replies, reply];
    reply.addEventListener('over', () => this.#ended(reply));
    this.dispatchEvent(new Event('replies'));
    return reply;
  }

  #follow(reply, stream) {
    reply.asking = false;
    if (reply.name !== null) this.#keep(reply, { stream });
    reply.follow(stream);
  }

  #ended(reply) {
    if (reply.outcome === 'committed' || reply.outcome === 'lost') this.#version = null;
    if (reply.name !== null) {
      this.#keep(reply, { ended: { outcome: reply.outcome, error: reply.error }, partial: reply.text });
    }
    this.dispatchEvent(new Event('replies'));
    this.polling.now();
  }

  #keep({ name, question, stream, before, base, partial }, more) {
    questions.keep(this.id, { name, question, stream, before, base, partial, ...more });
  }

  /** Keeps what is on its way, for after a reload. */
  #save() {
    for (const reply of this.replies) {
      if (reply.name !== null && !reply.over) this.#keep(reply, { partial: reply.text || reply.partial });
    }
  }

  /** Asks; resolves when the question has been sent, and fails if it could not be. */
  async say(question, model) {
    const { reply, body } = await this.#alone(async () => {
      await this.#look();
      const messages = [...history(this.records), { role: 'user', content: question }];
      const name = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
      const place = { before: this.status.active_stream, base: this.records.length };
      const reply = this.#add({ session: this.id, question, name, ...place });
      reply.asking = true;
      reply.asked = new AbortController();
      this.#keep(reply, {});
      return { reply, body: { model, stream: true, messages } };
    });
    this.#send(reply, body);
  }

  async #send(reply, body) {
    try {
      const response = await api.ask('POST', `${this.path}/v1/chat/completions`, { body, quiet: true, signal: reply.asked.signal });
      this.#follow(reply, response.headers.get('x-session-stream'));
      // Read to its end, as a client that stays does; what is in it comes from the session's stream.
      for (const reader = response.body.getReader(); !(await reader.read()).done;);
    } catch (error) {
      if (reply.stream !== null) return;
      // The turn may have begun all the same: then it is found as the one that runs.
      reply.asking = false;
      if (error.name === 'AbortError') reply.end('refused', 'It was taken back before its turn began.');
      else if (error.status) reply.end('refused', error.message);
      else this.polling.now();
    }
  }

  /** Tells the turn that runs to end; resolves with whether there was one. */
  async cancel(stream = this.status?.active_stream) {
    const body = stream ? { stream_id: stream } : {};
    const response = await api.ask('POST', `${this.path}/cancel`, { body });
    const said = await response.json();
    this.polling.now();
    return said.cancelled;
  }

  /** Ends what was asked last here, whether it waits or is being answered; or else the turn that runs. */
  async stop() {
    const last = this.replies.findLast((reply) => !reply.over && reply.name !== null);
    if (!last?.asking) return this.cancel(last?.stream ?? undefined);
    await this.#alone(() => this.#look());
    const active = this.status.active_stream;
    if (last.over || last.stream !== null || (active !== null && active !== last.before)) {
      return this.cancel(last.stream ?? active);
    }
    // It waits behind another turn: whoever leaves gives up its place.
    last.asked.abort();
    return true;
  }

  async delete() {
    await api.ask('DELETE', this.path);
    this.#gone(new api.ApiError('this session was deleted', 404));
  }

  /** Takes away a reply that has no record. */
  dismiss(reply) {
    this.#drop(reply);
    this.replies = this.replies.filter((other) => other !== reply);
    this.dispatchEvent(new Event('replies'));
  }

  #gone(error) {
    this.problem = error.message;
    this.#version = null;
    if (error.status !== 400) for (const { name } of questions.list(this.id)) questions.forget(this.id, name);
    this.dispatchEvent(new Event('gone'));
  }
}
