// The modules of the page that know no page, in the browser that runs them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { start } from './rig.js';

test('events are the same wherever their bytes are cut', async (t) => {
  const { page } = await start(t);
  const results = await page.evaluate(async () => {
    const { read } = await import('/page/sse.js');
    const text = '\uFEFF: hi\r\n\r\nid: 1\ndata: ä👩‍👧\ndata:  two\n\n\revent: gap\rdata\r\rdata:x\nid\nretry: 3\nnonsense\n\ndata: unended';
    const bytes = new TextEncoder().encode(text);
    const all = [];
    for (let size = 1; size <= bytes.length; size += 1) {
      const pieces = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
      const body = new ReadableStream({
        pull(to) {
          if (pieces.length > 0) to.enqueue(pieces.shift());
          else to.close();
        },
      });
      const events = [];
      for await (const event of read(body)) events.push(event);
      all.push(JSON.stringify(events));
    }
    return [...new Set(all)].map((it) => JSON.parse(it));
  });
  assert.equal(results.length, 1, JSON.stringify(results));
  assert.deepEqual(results[0], [
    { kind: 'message', id: null, data: null, comments: ['hi'] },
    { kind: 'message', id: '1', data: 'ä👩‍👧\n two', comments: [] },
    { kind: 'gap', id: null, data: '', comments: [] },
    { kind: 'message', id: '', data: 'x', comments: [] },
  ]);
});

test('metrics are read with their labels', async (t) => {
  const { page } = await start(t);
  const read = await page.evaluate(async () => {
    const { parse, sum } = await import('/page/metrics.js');
    const text = '# HELP a b\n# TYPE a counter\na{x="1",y="q\\"}, \\\\ \\n"} 2\na{x="2"} 3.5\nb 1e3\nc{le="+Inf"} +Inf\n\nbroken\n';
    const samples = parse(text);
    return [sum(samples, 'a'), sum(samples, 'a', { x: '2' }), sum(samples, 'b'), sum(samples, 'none'),
      samples.get('a')[0].labels.y, samples.get('c')[0].value === Infinity];
  });
  assert.deepEqual(read, [5.5, 3.5, 1000, 0, 'q"}, \\ \n', true]);
});

test('what a record adds is told from a history that is another', async (t) => {
  const { page } = await start(t);
  const read = await page.evaluate(async () => {
    const { added, history } = await import('/page/history.js');
    const record = (messages, reply) => ({ request: { messages }, response: { choices: [{ message: reply }] } });
    const user = (content) => ({ role: 'user', content });
    const bot = (content) => ({ role: 'assistant', content, refusal: null });
    const one = record([user('a')], bot('b'));
    const two = record([user('a'), { role: 'assistant', content: 'b' }, user([{ type: 'text', text: 'c' }])], bot('d'));
    const other = record([user('x')], bot('y'));
    return [added(one), added(two, one), added(other, two), history([one, two]), history([]), added({ request: 3, response: null })];
  });
  assert.deepEqual(read, [
    { goesOn: true, messages: [{ role: 'user', content: 'a' }] },
    { goesOn: true, messages: [{ role: 'user', content: [{ type: 'text', text: 'c' }] }] },
    { goesOn: false, messages: [{ role: 'user', content: 'x' }] },
    [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b' }, { role: 'user', content: [{ type: 'text', text: 'c' }] },
      { role: 'assistant', content: 'd' }],
    [],
    { goesOn: true, messages: [] },
  ]);
});
