// Who gets in, and what hostile text can do: nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readsSoFar, say, seeExactly, start, until } from './rig.js';

const HOSTILE = '<img src=x onerror="window.harmed = true"><script>window.harmed = true</script>\u202e"\'><svg onload=alert(1)>';

test('the page is for everybody, and the rest for whoever shows the token', async (t) => {
  const rig = await start(t, ['--token', 's3cret']);
  const { page } = rig;
  for (const where of ['/', '/page/main.js', '/page/style.css']) {
    const response = await rig.ask('GET', where);
    assert.equal(response.status, 200, where);
    assert.match(response.headers.get('content-security-policy'), /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    const known = { 'if-none-match': response.headers.get('etag') };
    assert.equal((await rig.ask('GET', where, undefined, known)).status, 304);
  }
  assert.equal((await rig.ask('GET', '/page/nothing.js')).status, 404);
  const dialog = page.locator('#token-dialog');
  await dialog.waitFor();
  await rig.shot('token');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await page.locator('#token-problem', { hasText: 'That is not the token.' }).waitFor();
  await page.fill('#token', 's3cret');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'hidden' });
  await page.locator('#empty').waitFor();
  await page.click('#create');
  await page.waitForSelector('#say');
  await say(page, 'hi');
  const asked = await rig.upstream.next();
  assert.equal(asked.headers.authorization, undefined);
  asked.begin().say('hello');
  await readsSoFar(page, 'hello');
  // It is kept over a reload, in this tab.
  await page.reload();
  await readsSoFar(page, 'hello');
  asked.done();
  await seeExactly(page, [['user', 'hi'], ['assistant', 'hello']]);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  // Another tab asks for it again, but not again and again.
  const other = await rig.open();
  await other.locator('#token-dialog').waitFor();
  await other.getByRole('button', { name: 'Not now' }).click();
  await other.locator('#server-state', { hasText: 'a token is needed' }).waitFor();
  assert.equal(await other.locator('#token-dialog').isVisible(), false);
  await other.getByRole('button', { name: 'Token…' }).click();
  await other.locator('#token-dialog').waitFor();
});

test('ids, keys, messages and errors are text and nothing else', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  const id = await rig.create({ key: HOSTILE });
  await page.locator('#rows .key', { hasText: 'onerror' }).waitFor();
  await rig.turn(id, HOSTILE, HOSTILE);
  await page.goto(`${rig.line.url}/#/s/${id}`);
  await seeExactly(page, [['user', HOSTILE], ['assistant', HOSTILE]]);
  await say(page, HOSTILE);
  (await rig.upstream.next()).begin().say(HOSTILE, HOSTILE);
  await readsSoFar(page, HOSTILE + HOSTILE);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.exchange[data-outcome="failed"]').waitFor();
  await say(page, 'error');
  (await rig.upstream.next()).status(400, { error: HOSTILE });
  await page.locator('.exchange[data-outcome="refused"] .state', { hasText: '<img src=x' }).waitFor();
  await page.getByRole('link', { name: 'Records' }).click();
  await page.locator('.records summary').first().click();
  await page.locator('.record summary', { hasText: 'Request as JSON' }).click();
  await page.locator('.record pre', { hasText: 'onerror' }).waitFor();
  await page.goto(`${rig.line.url}/#/s/${encodeURIComponent(HOSTILE)}`);
  await page.locator('.session > .problem', { hasText: 'not a session id' }).waitFor();
  assert.equal(await page.evaluate(() => window.harmed), undefined);
  assert.equal(await page.locator('#main img, #main script').count(), 0);
});

test('the policy keeps out what is written into the page', async (t) => {
  const rig = await start(t);
  const { page } = rig;
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.harmed = true';
    document.body.append(script);
  });
  await until('the browser has complained', () => rig.complaints.some((it) => it.includes('Content Security Policy')));
  assert.equal(await page.evaluate(() => window.harmed), undefined);
  rig.complaints.length = 0;
});
