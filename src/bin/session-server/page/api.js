// Asks the server. Knows the token, and how the server's clock stands beside this one.

const TOKEN = 'session-server.token';

/** Tells of `unauthorized`: the server wants a token, or another one; and of `unreached`: it did not answer. */
export const events = new EventTarget();

/** What the server's clock says beyond ours, in seconds. */
let ahead = 0;

/** The server said no. Without a status, it did not answer at all. */
export class ApiError extends Error {
  constructor(message, status = null) {
    super(message);
    this.status = status;
  }
}

/** The time at the server, in seconds since 1970. */
export function now() {
  return Date.now() / 1000 + ahead;
}

/** Whether a token is shown. */
export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

/** Shows this token from now on, in this tab. */
export function setToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

/** The path of a session. */
export function path(id) {
  return `/sessions/${encodeURIComponent(id)}`;
}

/** Sends a request; resolves with the head of an answer that is none of an error. */
export async function ask(method, where, { body, signal, quiet = false, token } = {}) {
  const headers = {};
  const shown = token ?? sessionStorage.getItem(TOKEN);
  if (shown) headers.authorization = `Bearer ${shown}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response;
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(where, { method, headers, body: sent, signal, cache: 'no-store' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    events.dispatchEvent(new Event('unreached'));
    throw new ApiError('the server cannot be reached');
  }
  const date = Date.parse(response.headers.get('date'));
  // The header has whole seconds.
  if (Number.isFinite(date) && Math.abs(date / 1000 - now()) > 2) ahead = (date - Date.now()) / 1000;
  if (response.ok) return response;
  if (response.status === 401 && !quiet) events.dispatchEvent(new Event('unauthorized'));
  throw new ApiError(await reason(response), response.status);
}

/** The JSON of an answer. */
export async function get(where, options) {
  const response = await ask('GET', where, options);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('the answer broke off');
  }
}

/** What an answer says is wrong; the upstream's errors are objects. */
async function reason(response) {
  const text = await response.text().catch(() => '');
  try {
    return told(JSON.parse(text).error) ?? text;
  } catch {
    return text.slice(0, 500) || `status ${response.status}`;
  }
}

/** The text of an error in any form. */
export function told(error) {
  if (error === undefined || error === null) return null;
  if (typeof error === 'string') return error;
  return typeof error.message === 'string' ? error.message : JSON.stringify(error);
}
