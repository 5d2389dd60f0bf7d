// What was said, as the records have it.

/** The text of a message, whose content is a text, a list of parts, or nothing. */
export function textOf(message) {
  const { content } = message;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return content === null || content === undefined ? '' : JSON.stringify(content);
  return content.map((part) => (typeof part?.text === 'string' ? part.text : `[${part?.type ?? 'part'}]`)).join('');
}

/** The messages that were asked with. */
export function asked(record) {
  const messages = record.request?.messages;
  return Array.isArray(messages) ? messages.filter((it) => it !== null && typeof it === 'object') : [];
}

/** The message that was answered. */
export function answered(record) {
  const message = record.response?.choices?.[0]?.message;
  return message !== null && typeof message === 'object' ? message : { role: 'assistant', content: '' };
}

/** The messages that a next question goes behind. */
export function history(records) {
  const last = records.at(-1);
  return last ? [...asked(last), plain(answered(last))] : [];
}

/** An answer, as it may be sent back: not everything that is answered is taken. */
function plain(message) {
  const { role = 'assistant', content = null, tool_calls: calls } = message;
  return calls?.length > 0 ? { role, content, tool_calls: calls } : { role, content: content ?? '' };
}

/** What of a record is new behind the record before it; and whether it goes on from there. */
export function added(record, before) {
  const messages = asked(record);
  const known = before ? history([before]) : [];
  const goesOn = known.length <= messages.length && known.every((it, at) => same(it, messages[at]));
  return { goesOn: goesOn || !before, messages: goesOn ? messages.slice(known.length) : messages };
}

function same(left, right) {
  return left.role === right.role && textOf(left) === textOf(right);
}

/** The last thing that the user has said in a record. */
export function question(record) {
  const said = asked(record).filter((message) => message.role === 'user');
  return said.length > 0 ? textOf(said.at(-1)) : '';
}
