// The page: counters and sessions, and the one that is open. Which one that is stands in the address.

import * as api from './api.js';
import * as counters from './counters.js';
import { byId, setText } from './dom.js';
import * as server from './server.js';
import { SessionPane } from './session.js';
import { address, Sessions } from './sessions.js';

server.watch();
counters.show(byId('counters'));
const sessions = new Sessions();
let pane = null;

/** What the address names: a session and a view of it, or nothing. */
function named() {
  const found = /^#\/s\/([^/]+)(?:\/(records))?$/.exec(location.hash);
  if (!found) return null;
  try {
    return { id: decodeURIComponent(found[1]), view: found[2] ?? 'chat' };
  } catch {
    return null;
  }
}

function route() {
  const place = named();
  const before = pane?.id;
  if (pane && pane.id !== place?.id) {
    pane.leave();
    pane.element.remove();
    pane = null;
  }
  document.body.dataset.view = place ? 'session' : 'list';
  document.title = place ? `${place.id} – session-server` : 'session-server';
  sessions.select(place?.id ?? null);
  byId('nothing').hidden = place !== null;
  if (!place) {
    if (before !== undefined) sessions.focus(before);
    return;
  }
  if (pane) pane.show(place.view);
  else {
    pane = new SessionPane(place.id, place.view);
    byId('detail').append(pane.element);
    // On a telephone a focus would open the keyboard.
    if (matchMedia('(pointer: fine)').matches) pane.focus();
  }
}

async function create() {
  const button = byId('create');
  button.disabled = true;
  try {
    const response = await api.ask('POST', '/sessions', { body: {} });
    const { session_id: id } = await response.json();
    setText(byId('create-problem'), '');
    location.hash = address(id);
    sessions.now();
  } catch (error) {
    setText(byId('create-problem'), error.message);
  }
  button.disabled = false;
}

/** Whether a key is for what has the focus. */
function isTyping(event) {
  return event.target.closest('input, textarea, select, dialog') !== null;
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/' && !isTyping(event)) {
    event.preventDefault();
    if (document.body.dataset.view === 'session') location.hash = '#/';
    byId('filter').focus();
  } else if (event.key === 'Escape' && !event.target.closest('dialog')) {
    // What is being written stays: the first time only leaves the field.
    if (event.target.value) event.target.blur();
    else if (document.body.dataset.view === 'session') location.hash = '#/';
  }
}

addEventListener('hashchange', route);
addEventListener('keydown', key);
byId('create').addEventListener('click', create);
byId('skip').addEventListener('click', (event) => {
  // Its address would be taken for that of no session.
  event.preventDefault();
  byId('main').focus();
});
route();
