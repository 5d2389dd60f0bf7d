// The server ends in the middle of a reply, in good order or not, and comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guard, readsSoFar, say, seeExactly, start, unharmed, until } from './rig.js';

test('a killed server: the page comes back by itself, and what was not recorded is marked', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  const before = await rig.turn(id, 'one', 'first reply');
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  const other = await rig.open(`#/s/${id}`);
  await seeExactly(other, [['user', 'one'], ['assistant', 'first reply']]);
  await guard(page, ['first reply', 'half of 👩‍👩‍👧 it', 'whole again']);
  await say(page, 'two');
  const asked = (await rig.upstream.next()).begin().say('half ', 'of ', '👩‍👩‍👧 it');
  for (const tab of [page, other]) await readsSoFar(tab, 'half of 👩‍👩‍👧 it');
  await rig.kill();
  asked.cut();
  await page.locator('#banner').filter({ hasText: 'cannot be reached' }).waitFor();
  await readsSoFar(page, 'half of 👩‍👩‍👧 it');
  await rig.shot('away');
  await rig.boot();
  const marked = [['user', 'one'], ['assistant', 'first reply'], ['user', 'two'], ['assistant', 'half of 👩‍👩‍👧 it']];
  for (const tab of [page, other]) {
    await tab.locator('.exchange[data-outcome="lost"] .state', { hasText: 'Interrupted, and not recorded.' }).waitFor();
    await tab.locator('#banner').waitFor({ state: 'hidden' });
    await seeExactly(tab, marked);
  }
  await rig.shot('interrupted');
  assert.deepEqual(await rig.records(id), [['one', 'first reply']]);
  // The tab that has asked knows it after a reload as well.
  await page.reload();
  await page.locator('.exchange[data-outcome="lost"]').waitFor();
  await seeExactly(page, marked);
  await page.getByRole('button', { name: 'Ask again' }).click();
  assert.equal(await page.inputValue('#say'), 'two');
  await page.press('#say', 'Enter');
  const again = await rig.upstream.next();
  assert.deepEqual(again.body.messages, [...before, { role: 'user', content: 'two' }]);
  again.begin().say('whole ', 'again').done();
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 4);
  await seeExactly(page, [['user', 'one'], ['assistant', 'first reply'], ['user', 'two'], ['assistant', 'whole again']]);
});

test('a server killed right after the record: the reply is there once', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await guard(page, ['all of it']);
  await say(page, 'hi');
  const asked = (await rig.upstream.next()).begin().say('all ');
  await readsSoFar(page, 'all ');
  // The page does not hear of the end, nor of the record.
  rig.line.open = false;
  rig.line.cut();
  asked.say('of it').done();
  await until('it is recorded', async () => (await rig.records(id)).length === 1);
  await rig.kill();
  await rig.boot();
  rig.line.open = true;
  await until('it is seen as recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'hi'], ['assistant', 'all of it']]);
  await unharmed(page);
});

test('a server killed before the answer begins: the question is not lost', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await say(page, 'hang');
  await rig.upstream.next();
  await rig.kill();
  await rig.boot();
  await page.locator('.exchange[data-outcome="lost"]').waitFor();
  await seeExactly(page, [['user', 'hang'], ['assistant', '']]);
  await page.getByRole('button', { name: 'Ask again' }).click();
  assert.equal(await page.inputValue('#say'), 'hang');
});

test('a server that drains says so, ends what runs in good order, and refuses what is new', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create();
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await page.waitForSelector('#say');
  await guard(page, ['to the end']);
  await say(page, 'last');
  const asked = (await rig.upstream.next()).begin().say('to ');
  await readsSoFar(page, 'to ');
  rig.program.kill('SIGTERM');
  await page.locator('#banner').filter({ hasText: 'shuts down' }).waitFor();
  await say(page, 'too late');
  await page.locator('.exchange[data-outcome="refused"] .state', { hasText: 'Not answered.' }).waitFor();
  await rig.shot('draining');
  asked.say('the end').done();
  assert.deepEqual(await rig.ended, [0, null]);
  await page.locator('#banner').filter({ hasText: 'cannot be reached' }).waitFor();
  await rig.boot();
  await until('it is seen as recorded', async () => (await page.locator('.past .message').count()) === 2);
  await seeExactly(page, [['user', 'last'], ['assistant', 'to the end'], ['user', 'too late'], ['assistant', '']]);
  assert.deepEqual(await rig.records(id), [['last', 'to the end']]);
  await page.locator('#server-state', { hasText: 'connected' }).waitFor();
  await unharmed(page);
});
