// Chats: every character once, whatever happens to the tab and to the line.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guard, readsSoFar, say, seeExactly, seen, start, unharmed, until } from './rig.js';

const WORDS = ['Grüße, ', '𝒲elt ', '👩‍👩‍👧‍👦 ', '日本語 ', 'e\u0301 ', '\n  two\r\nlines\t', '<b>&amp;</b> ', '"data: x\\n\\n"', ' …end'];
const REPLY = WORDS.join('');

test('a reply is streamed to the character, however its bytes are cut', async (t) => {
  const { page, upstream, ...rig } = await start(t);
  await page.click('#create');
  await page.waitForSelector('#say');
  await guard(page, [REPLY]);
  await page.fill('#model', 'some/model');
  await say(page, 'hello 👋');
  const asked = await upstream.next();
  assert.deepEqual(asked.body, { model: 'some/model', stream: true, messages: [{ role: 'user', content: 'hello 👋' }] });
  asked.begin();
  let soFar = '';
  for (const [at, word] of WORDS.entries()) {
    await asked.drip(word, 1 + (at % 3));
    soFar += word;
    await readsSoFar(page, soFar);
  }
  asked.done();
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'hello 👋'], ['assistant', REPLY]]);
  await unharmed(page);
  assert.equal(rig.complaints.length, 0);
});

test('the history goes with the next question, and a whole answer is as good as a stream', async (t) => {
  const rig = await start(t);
  const id = await rig.create();
  await rig.turn(id, 'one', 'two');
  const page = await rig.open(`#/s/${id}`);
  await seeExactly(page, [['user', 'one'], ['assistant', 'two']]);
  await say(page, 'three');
  const asked = await rig.upstream.next();
  const messages = [{ role: 'user', content: 'one' }, { role: 'assistant', content: 'two' }, { role: 'user', content: 'three' }];
  assert.deepEqual(asked.body.messages, messages);
  asked.whole('four');
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 4);
  await seeExactly(page, [['user', 'one'], ['assistant', 'two'], ['user', 'three'], ['assistant', 'four']]);
});

test('a reload in the middle of a reply loses and doubles nothing', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await say(page, 'hi');
  const asked = (await rig.upstream.next()).begin();
  asked.say(...WORDS.slice(0, 4));
  await readsSoFar(page, WORDS.slice(0, 4).join(''));
  for (const [at, word] of WORDS.slice(4).entries()) {
    await page.reload();
    await page.waitForSelector('.log');
    await guard(page, [REPLY]);
    asked.say(word);
    await readsSoFar(page, WORDS.slice(0, 5 + at).join(''));
    await seeExactly(page, [['user', 'hi'], ['assistant', WORDS.slice(0, 5 + at).join('')]]);
    await unharmed(page);
  }
  asked.done();
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'hi'], ['assistant', REPLY]]);
  await unharmed(page);
  await page.reload();
  await seeExactly(page, [['user', 'hi'], ['assistant', REPLY]]);
  assert.deepEqual(await rig.records(id), [['hi', REPLY]]);
});

test('a reload before the answer begins finds the turn again', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await say(page, 'slow');
  const asked = await rig.upstream.next();
  await page.reload();
  await page.locator('.exchange[data-stream*="-"]').waitFor();
  asked.begin().say('at last');
  await readsSoFar(page, 'at last');
  await seeExactly(page, [['user', 'slow'], ['assistant', 'at last']]);
  asked.done();
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'slow'], ['assistant', 'at last']]);
});

test('a second tab sees the same question and the same stream', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  const idle = await rig.open(`#/s/${id}`);
  await idle.waitForSelector('#say');
  await guard(idle, [REPLY]);
  await guard(page, [REPLY]);
  await say(page, 'both');
  const asked = (await rig.upstream.next()).begin();
  asked.say(...WORDS.slice(0, 3));
  await readsSoFar(idle, WORDS.slice(0, 3).join(''));
  const late = await rig.open(`#/s/${id}`);
  await readsSoFar(late, WORDS.slice(0, 3).join(''));
  await guard(late, [REPLY]);
  asked.say(...WORDS.slice(3));
  const tabs = [page, idle, late];
  for (const tab of tabs) await readsSoFar(tab, REPLY);
  for (const tab of tabs) await seeExactly(tab, [['user', 'both'], ['assistant', REPLY]]);
  asked.done();
  for (const tab of tabs) {
    await until('it is recorded', async () => (await tab.locator('.past .message').count()) === 2);
    await seeExactly(tab, [['user', 'both'], ['assistant', REPLY]]);
    await unharmed(tab);
  }
});

test('a line that breaks again and again costs nothing', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await guard(page, [REPLY]);
  await say(page, 'hold on');
  const asked = (await rig.upstream.next()).begin();
  for (const [at, word] of WORDS.entries()) {
    asked.say(word);
    await readsSoFar(page, WORDS.slice(0, at + 1).join(''));
    rig.line.cut();
  }
  // It is also away for a while, in which the turn goes on and ends.
  rig.line.open = false;
  rig.line.cut();
  await page.locator('#banner').filter({ hasText: 'cannot be reached' }).waitFor();
  asked.done();
  await until('it is recorded', async () => (await rig.records(id)).length === 1);
  await readsSoFar(page, REPLY);
  rig.line.open = true;
  await until('it is seen as recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'hold on'], ['assistant', REPLY]]);
  await page.locator('#banner').waitFor({ state: 'hidden' });
  await unharmed(page);
});

test('a turn is stopped in the middle, and what was said is marked', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  const cancel = page.getByRole('button', { name: 'Cancel turn' });
  assert.ok(await cancel.isDisabled());
  for (const button of [cancel, page.getByRole('button', { name: 'Stop' })]) {
    await say(page, 'go on for ever');
    (await rig.upstream.next()).begin().say('and on');
    await readsSoFar(page, 'and on');
    await until('it can be cancelled', () => button.isEnabled());
    await button.click();
    const exchange = page.locator('.exchange[data-outcome="failed"]');
    await exchange.locator('.state', { hasText: 'Interrupted, and not recorded.' }).waitFor();
    await exchange.locator('.state', { hasText: 'cancelled_stopped' }).waitFor();
    await seeExactly(page, [['user', 'go on for ever'], ['assistant', 'and on']]);
    await rig.shot('cancelled');
    await exchange.getByRole('button', { name: 'Dismiss' }).click();
    await seeExactly(page, []);
  }
  assert.deepEqual(await rig.records(id), []);
});

test('what cannot be answered says why, and the question is not lost', async (t) => {
  const rig = await start(t, ['--busy', 'reject']);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  const state = page.locator('.exchange .state').last();
  // The upstream says no.
  await say(page, 'no');
  (await rig.upstream.next()).status(429, { error: { message: 'quota is used up' } });
  await state.filter({ hasText: 'Not answered. quota is used up' }).waitFor();
  await page.getByRole('button', { name: 'Ask again' }).click();
  assert.equal(await page.inputValue('#say'), 'no');
  // Its line breaks in the middle.
  await page.press('#say', 'Enter');
  const half = (await rig.upstream.next()).begin().say('half');
  await readsSoFar(page, 'half');
  half.cut();
  await state.filter({ hasText: 'Interrupted, and not recorded.' }).waitFor();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  // Another turn runs.
  await say(page, 'first');
  const first = (await rig.upstream.next()).begin().say('one');
  await readsSoFar(page, 'one');
  await say(page, 'second');
  await state.filter({ hasText: 'session is busy' }).waitFor();
  first.done();
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'first'], ['assistant', 'one'], ['user', 'second'], ['assistant', '']]);
});

test('of two turns at once the one that is not recorded says so', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await say(page, 'one');
  const one = (await rig.upstream.next()).begin().say('slow');
  await readsSoFar(page, 'slow');
  await say(page, 'two');
  (await rig.upstream.next()).begin().say('fast').done();
  await until('the second is over', async () => (await page.locator('.exchange[data-outcome="committed"]').count()) === 1);
  one.done();
  await page.locator('.exchange[data-outcome="superseded"] .state', { hasText: 'another turn' }).waitFor();
  await until('the other is recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'two'], ['assistant', 'fast'], ['user', 'one'], ['assistant', 'slow']]);
});

test('a part that is not kept any more is told, until the record has it', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await say(page, 'much');
  const asked = (await rig.upstream.next()).begin().say('start ');
  await readsSoFar(page, 'start ');
  rig.line.open = false;
  rig.line.cut();
  // More than is kept of one stream.
  const many = 24;
  const padding = 'x'.repeat(1 << 20);
  for (let at = 0; at < many; at += 1) asked.say('so ', { padding });
  asked.say(' end');
  const reading = await rig.ask('GET', `/sessions/${id}/stream`);
  let read = '';
  for await (const text of reading.body.pipeThrough(new TextDecoderStream())) {
    read = read.slice(-100) + text;
    if (read.includes('" end"')) break;
  }
  rig.line.open = true;
  await page.locator('.hole').waitFor();
  await until('the end is read', async () => (await seen(page))[1][1].endsWith('so  end'));
  const [, [, shown]] = await seen(page);
  assert.match(shown, /^start a part is missing here until the reply is recorded(so )+ end$/);
  assert.ok(shown.split('so ').length - 1 < many);
  asked.done();
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 2);
  assert.equal(await page.locator('.hole').count(), 0);
  await seeExactly(page, [['user', 'much'], ['assistant', `start ${'so '.repeat(many)} end`]]);
});

test('a tab that nobody sees asks nothing, and catches up when it is seen', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.clock.install();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.reload();
  await page.waitForSelector('#say');
  await guard(page, [REPLY]);
  await say(page, 'behind');
  const asked = (await rig.upstream.next()).begin().say(WORDS[0]);
  await readsSoFar(page, WORDS[0]);
  const asks = [];
  const show = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await show(true);
  // What was on its way when it was hidden has come by the time that something asked later has.
  await page.evaluate(() => fetch('/health').then((response) => response.text()));
  await page.evaluate(() => fetch('/health').then((response) => response.text()));
  page.on('request', (request) => asks.push(request.url()));
  asked.say(...WORDS.slice(1)).done();
  await until('it is recorded', async () => (await rig.records(id)).length === 1);
  await page.clock.fastForward(60_000);
  await page.evaluate(() => fetch('/health').then((response) => response.text()));
  assert.deepEqual(await seen(page), [['user', 'behind'], ['assistant', WORDS[0]]]);
  assert.deepEqual(asks.filter((url) => !url.endsWith('/health')), []);
  await show(false);
  await until('it is seen as recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'behind'], ['assistant', REPLY]]);
  assert.ok(asks.some((url) => url.includes('after=')));
  await unharmed(page);
});

test('a question that waits behind another turn is taken back, and the other goes on', async (t) => {
  const rig = await start(t, ['--busy', 'queue']);
  const { page } = rig;
  const id = await rig.create();
  const messages = [{ role: 'user', content: 'before' }];
  const other = rig.ask('POST', `/sessions/${id}/v1/chat/completions`, { model: 'm', messages });
  const asked = await rig.upstream.next();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.locator('.elsewhere').waitFor();
  await say(page, 'me too');
  await until('it waits', async () => (await rig.json(`/sessions/${id}/status`)).queued === 1);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.exchange[data-outcome="refused"] .state', { hasText: 'taken back' }).waitFor();
  await until('nobody waits', async () => (await rig.json(`/sessions/${id}/status`)).queued === 0);
  asked.whole('answered');
  assert.equal((await other).headers.get('x-session-commit'), 'committed');
  await until('it is seen as recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'before'], ['assistant', 'answered'], ['user', 'me too'], ['assistant', '']]);
});
