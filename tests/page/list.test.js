// The list of sessions, the counters and the records.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeExactly, start, until } from './rig.js';

/** The cells of a session's row. */
function row(page, id) {
  return page.locator('#rows tr', { has: page.locator(`a[title="${id}"]`) });
}

test('the list fills itself, and shows what happens in each session', async (t) => {
  const rig = await start(t, ['--busy', 'queue']);
  const { page, upstream } = rig;
  await page.locator('#empty').waitFor();
  const quiet = await rig.create({ key: 'user/id=42' });
  await rig.create({ session_id: 'busy' });
  await row(page, quiet).waitFor();
  const cell = (id, label) => row(page, id).locator(`[data-label="${label}"]`);
  assert.equal(await cell(quiet, 'State').textContent(), 'active');
  assert.equal(await cell(quiet, 'Turn').textContent(), '–');
  assert.equal(await cell(quiet, 'Queued').textContent(), '–');
  assert.match(await row(page, quiet).locator('.key').textContent(), /^user\/id=42$/);
  assert.match(await cell(quiet, 'Age').textContent(), /^(now|\d+ s)$/);
  const messages = [{ role: 'user', content: 'x' }];
  const chat = () => rig.ask('POST', '/sessions/busy/v1/chat/completions', { model: 'm', messages });
  const first = chat();
  const asked = await upstream.next();
  const second = chat();
  await cell('busy', 'Turn').filter({ hasText: 'running' }).waitFor();
  await cell('busy', 'Queued').filter({ hasText: '1' }).waitFor();
  await cell('busy', 'Kept by').filter({ hasText: 'turn' }).waitFor();
  await page.selectOption('#state', 'running');
  await row(page, quiet).waitFor({ state: 'detached' });
  assert.equal(await row(page, 'busy').count(), 1);
  await page.selectOption('#state', '');
  await rig.shot('list');
  asked.whole('1');
  (await upstream.next()).whole('2');
  await Promise.all([first, second]);
  await cell('busy', 'Turn').filter({ hasText: '–' }).waitFor();
  await rig.ask('DELETE', `/sessions/${quiet}`);
  await row(page, quiet).waitFor({ state: 'detached' });
  await page.fill('#filter', 'nobody');
  await page.locator('#listed', { hasText: '0 of 1' }).waitFor();
});

test('of thousands of sessions the newest are shown, a page at a time', async (t) => {
  const rig = await start(t, [], { store: 'memory' });
  const { page } = rig;
  const all = Array.from({ length: 2_345 }, (_, at) => at);
  while (all.length > 0) {
    await Promise.all(all.splice(0, 50).map((at) => rig.create({ session_id: `s${at}` })));
  }
  const ids = () => page.$$eval('#rows a.id', (links) => links.map((link) => link.textContent));
  await page.reload();
  const numbers = async () => (await ids()).map((id) => Number(id.slice(1)));
  await until('the newest are there', async () => (await numbers()).includes(2_344));
  const newest = await numbers();
  assert.ok(newest.length <= 200 && newest.length > 50, `${newest.length}`);
  await rig.create({ session_id: 's9999' });
  await until('a new one is there', async () => (await ids())[0] === 's9999');
  const found = new Set(await ids());
  while (await page.locator('#older').isEnabled()) {
    const before = (await ids())[0];
    await page.click('#older');
    await until('another page is there', async () => (await ids())[0] !== before);
    const there = await ids();
    assert.ok(there.length <= 200);
    there.forEach((id) => found.add(id));
  }
  assert.equal(found.size, 2_346);
  await page.click('#newest');
  await until('the newest are there', async () => (await ids())[0] === 's9999');
  // Any session is opened by its id.
  await page.fill('#filter', 's77');
  await page.press('#filter', 'Enter');
  await page.locator('h2', { hasText: 's77' }).waitFor();
});

test('counters are shown with what they were, and say it in words', async (t) => {
  const rig = await start(t);
  const { page, upstream } = rig;
  const id = await rig.create();
  const counter = (name) => page.locator('.counter', { has: page.locator('.name', { hasText: new RegExp(`^${name}$`) }) });
  await counter('Sessions').locator('.value', { hasText: '1' }).waitFor();
  const chat = rig.ask('POST', `/sessions/${id}/v1/chat/completions`, { messages: [] });
  const asked = await upstream.next();
  await counter('Turns running').locator('.value', { hasText: '1' }).waitFor();
  const points = async (name) => (await counter(name).locator('.line').getAttribute('points')).split(' ').length;
  await until('a plot grows', async () => (await points('Turns running')) >= 3);
  await until('what is asked is counted', async () => /^\d.*\/s$/.test(await counter('Requests').locator('.value').textContent()));
  asked.whole('x');
  await chat;
  await counter('Turns running').locator('.value', { hasText: '0' }).waitFor();
  const said = await counter('Turns running').getByRole('img').getAttribute('aria-label');
  assert.match(said, /^Turns running, in all sessions: now 0, between 0 and 1 in the last 5 minutes$/);
});

test('the records of a session are shown, newest last, each to be opened', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  const before = await rig.turn(id, 'first question', 'first answer');
  await rig.turn(id, 'second question', 'second answer', before);
  await page.goto(`${rig.line.url}/#/s/${id}/records`);
  const records = page.locator('.records > li');
  await until('both are there', async () => (await records.count()) === 2);
  assert.match(await records.nth(0).textContent(), /#1.*first question/);
  assert.match(await records.nth(1).textContent(), /#2.*second question/);
  await records.nth(1).locator('summary').click();
  const texts = await records.nth(1).locator('.message .text').allTextContents();
  assert.deepEqual(texts, ['first question', 'first answer', 'second question', 'second answer']);
  await records.nth(1).locator('summary', { hasText: 'Response as JSON' }).click();
  await records.nth(1).locator('pre', { hasText: '"chat.completion"' }).waitFor();
  // One that comes meanwhile is added, and what is open stays open.
  await rig.turn(id, 'third question', 'x'.repeat(60_000));
  await until('the third is there', async () => (await records.count()) === 3);
  assert.equal(await records.nth(1).locator('.message').count(), 4);
  await rig.shot('records');
  await records.nth(2).locator('summary').click();
  await records.nth(2).locator('summary', { hasText: 'Response as JSON' }).click();
  const shown = records.nth(2).locator('pre').last();
  assert.equal((await shown.textContent()).length, 20_000);
  await records.nth(2).getByRole('button', { name: /Show all/ }).click();
  assert.ok((await shown.textContent()).length > 60_000);
});

test('a delete asks first, and takes the session away', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await rig.turn(id, 'a', 'b');
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await seeExactly(page, [['user', 'a'], ['assistant', 'b']]);
  const open = page.getByRole('button', { name: 'Delete…' });
  await open.click();
  await page.getByRole('button', { name: 'Keep' }).click();
  assert.equal((await rig.ask('GET', `/sessions/${id}/status`)).status, 200);
  await open.click();
  await page.keyboard.press('Escape');
  assert.equal((await rig.ask('GET', `/sessions/${id}/status`)).status, 200);
  const other = await rig.open(`#/s/${id}`);
  await seeExactly(other, [['user', 'a'], ['assistant', 'b']]);
  await open.click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await until('the list is shown', async () => (await page.evaluate(() => location.hash)) === '#/');
  assert.equal((await rig.ask('GET', `/sessions/${id}/status`)).status, 404);
  await row(page, id).waitFor({ state: 'detached' });
  await other.locator('.session > .problem', { hasText: 'session not found' }).waitFor();
});
