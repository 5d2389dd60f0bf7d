// One session: what is happening in it, its chat and its records.

import * as api from './api.js';
import { Chat } from './chat.js';
import { confirm } from './confirm.js';
import { Conversation } from './conversation.js';
import { announce, element, setText } from './dom.js';
import { moment, span } from './format.js';
import { Records } from './records.js';
import { address, keeps } from './sessions.js';

export class SessionPane {
  #facts = new Map();

  constructor(id, view) {
    this.id = id;
    this.conversation = new Conversation(id);
    this.problem = element('p', { class: 'problem', role: 'alert', hidden: true });
    this.body = element('div', { class: 'view' });
    this.element = element('div', { class: 'session' }, this.#head(), this.problem, this.body);
    this.conversation.addEventListener('status', () => this.#status());
    this.conversation.addEventListener('gone', () => this.#gone());
    this.show(view);
  }

  /** Shows the chat or the records. */
  show(view) {
    for (const [name, link] of Object.entries(this.tabs)) {
      if (name === view) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    this.view = view;
    this.shown = view === 'records'
      ? (this.records ??= new Records(this.conversation))
      : (this.chat ??= new Chat(this.conversation, { problem: (text) => this.#tell(text) }));
    this.body.replaceChildren(this.shown.element);
  }

  focus() {
    this.shown.focus();
  }

  leave() {
    this.conversation.leave();
  }

  #head() {
    const back = element('a', { href: '#/', class: 'back' }, '‹ Sessions');
    const title = element('h2', { class: 'id', title: this.id }, this.id);
    this.tabs = {
      chat: element('a', { href: address(this.id) }, 'Chat'),
      records: element('a', { href: `${address(this.id)}/records` }, 'Records'),
    };
    const tabs = element('nav', { class: 'tabs', 'aria-label': 'Views of the session' }, this.tabs.chat, this.tabs.records);
    this.cancel = element('button', { type: 'button', disabled: true, onclick: () => this.#cancel() }, 'Cancel turn');
    this.remove = element('button', { type: 'button', class: 'danger', onclick: () => this.#delete() }, 'Delete…');
    const facts = element('dl', { class: 'facts' });
    for (const name of ['State', 'Turn', 'Queued', 'Kept by', 'Age', 'Used', 'Key']) {
      const value = element('dd', {}, '–');
      this.#facts.set(name, value);
      facts.append(element('div', {}, element('dt', {}, name), value));
    }
    const actions = element('div', { class: 'actions' }, tabs, this.cancel, this.remove);
    return element('header', {}, element('div', { class: 'title' }, back, title), actions, facts);
  }

  #status() {
    const { status } = this.conversation;
    const at = api.now();
    const set = (name, text, title = '') => {
      const fact = this.#facts.get(name);
      setText(fact, text);
      fact.title = title;
    };
    const runs = status.active_stream !== null;
    set('State', status.state);
    set('Turn', runs ? `${status.phase} (${status.active_stream})` : status.phase);
    set('Queued', String(status.queued));
    set('Kept by', keeps(status));
    set('Age', span(status.created_at === null ? null : at - status.created_at), moment(status.created_at));
    set('Used', span(status.last_activity === null ? null : at - status.last_activity), moment(status.last_activity));
    set('Key', status.key ?? '–');
    this.cancel.disabled = !runs;
    this.remove.disabled = status.state === 'unknown';
    if (this.element.dataset.gone) {
      delete this.element.dataset.gone;
      this.#tell('');
    }
  }

  #tell(text) {
    setText(this.problem, text);
    this.problem.hidden = text === '';
  }

  #gone() {
    this.element.dataset.gone = 'true';
    this.cancel.disabled = this.remove.disabled = true;
    this.#tell(this.conversation.problem);
  }

  async #cancel() {
    try {
      announce((await this.conversation.cancel()) ? 'The turn was told to end.' : 'The turn was over already.');
    } catch (error) {
      this.#tell(error.message);
    }
  }

  async #delete() {
    const what = `Session ${this.id} and everything that was said in it. A turn that runs will not be recorded.`;
    if (!(await confirm('Delete this session?', what, 'Delete'))) return;
    try {
      await this.conversation.delete();
      announce('The session was deleted.');
      if (location.hash.startsWith(address(this.id))) location.hash = '#/';
    } catch (error) {
      this.#tell(error.message);
    }
  }
}
