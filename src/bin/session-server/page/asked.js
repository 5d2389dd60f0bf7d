// What was asked in this tab and is not in a record yet: over a reload, and for other tabs that see the same turn. The
// server tells a question when its turn is recorded, not before.

const PREFIX = 'session-server.asked.';
const channel = new BroadcastChannel('session-server.asked');

/** What is kept of a session: `{ name, question, stream, before, base, partial }` each. */
export function list(session) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + session)) ?? [];
  } catch {
    return [];
  }
}

/** Keeps one, or what is new of it. */
export function keep(session, it) {
  store(session, [...list(session).filter((other) => other.name !== it.name), it]);
  if (it.stream) tell(session, it);
}

/** Forgets one. */
export function forget(session, name) {
  store(session, list(session).filter((other) => other.name !== name));
}

function store(session, all) {
  try {
    if (all.length === 0) sessionStorage.removeItem(PREFIX + session);
    else sessionStorage.setItem(PREFIX + session, JSON.stringify(all));
  } catch {
    // It is full. A reload will not know the question; the record will.
  }
}

function tell(session, { stream, question }) {
  channel.postMessage({ session, stream, question });
}

/** Asks other tabs what was asked in a turn; `answer` is called if one knows, now or later. */
export function ask(session, stream, answer, signal) {
  const hear = ({ data }) => {
    if (data.session === session && data.stream === stream && typeof data.question === 'string') answer(data.question);
  };
  channel.addEventListener('message', hear);
  signal.addEventListener('abort', () => channel.removeEventListener('message', hear));
  channel.postMessage({ session, stream });
}

channel.addEventListener('message', ({ data }) => {
  if (data.question !== undefined) return;
  const known = list(data.session).find((it) => it.stream === data.stream);
  if (known) tell(data.session, known);
});
