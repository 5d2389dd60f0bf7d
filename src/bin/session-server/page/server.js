// Whether the server is there, and the token it may want.

import * as api from './api.js';
import { byId, setText } from './dom.js';
import { poll, server } from './poll.js';

/** How often it is asked, in milliseconds. */
const EVERY = 2_000;

let instance = null;
let state = 'unknown';
/** Whether its user has closed the form: then only a button opens it. */
let declined = false;

/** Looks after the banner and the form for the token. */
export function watch() {
  const looking = poll(look, EVERY);
  api.events.addEventListener('unreached', () => {
    if (state !== 'away') looking.now();
  });
  api.events.addEventListener('unauthorized', () => {
    if (declined) setText(byId('server-state'), 'a token is needed');
    else askForToken();
  });
  byId('token-dialog').addEventListener('close', () => (declined = true));
  byId('token-form').addEventListener('submit', takeToken);
  byId('token-close').addEventListener('click', () => byId('token-dialog').close());
  byId('token-button').addEventListener('click', askForToken);
}

async function look() {
  try {
    const said = await api.get('/ready');
    const another = instance !== null && instance !== said.instance_id;
    instance = said.instance_id;
    change('here', '', another);
  } catch (error) {
    if (error.status === 503) return change('leaving', `${error.message}: what runs may end, new turns are refused.`);
    change('away', 'The server cannot be reached. Trying again…');
    // Asked again soon: everything else waits for this.
  }
}

function change(to, text, another = false) {
  const back = to === 'here' && (state !== 'here' || another);
  state = to;
  const banner = byId('banner');
  setText(banner, text);
  banner.hidden = text === '';
  document.documentElement.dataset.server = to;
  if (to !== 'here' || back) setText(byId('server-state'), { here: 'connected', leaving: 'draining', away: 'away' }[to]);
  if (back) server.dispatchEvent(new Event('back'));
}

/** Asks the user for the token. */
function askForToken() {
  declined = false;
  const dialog = byId('token-dialog');
  if (!dialog.open) dialog.showModal();
}

async function takeToken(event) {
  event.preventDefault();
  const field = byId('token');
  const problem = byId('token-problem');
  const token = field.value.trim();
  try {
    await api.ask('GET', '/sessions?limit=1', { quiet: true, token });
  } catch (error) {
    const wrong = error.status === 401;
    setText(problem, wrong ? 'That is not the token.' : `That could not be tried: ${error.message}.`);
    field.setAttribute('aria-invalid', 'true');
    field.select();
    return;
  }
  api.setToken(token);
  field.value = '';
  field.removeAttribute('aria-invalid');
  setText(problem, '');
  byId('token-dialog').close();
  setText(byId('server-state'), 'connected');
  server.dispatchEvent(new Event('back'));
}
