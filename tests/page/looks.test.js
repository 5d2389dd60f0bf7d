// With the keyboard alone, in light and dark, on a telephone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readsSoFar, say, seeExactly, start, until } from './rig.js';

const LONG = 'A long line of an answer, which has to be broken where it does not fit: https://example.invalid/'.concat('a'.repeat(200));

/** Sessions to look at, one of them with a conversation and a turn that runs. */
async function furnish(rig) {
  for (const [at, key] of ['telegram/chat=1001', 'web/user=ada', null, 'irc/room=rust', null].entries()) {
    await rig.create({ session_id: `conversation-${at}-${'0123456789abcdef'.repeat(2)}`, ...(key ? { key } : {}) });
  }
  const id = await rig.create({ session_id: 'demo', key: 'web/user=grace' });
  const before = await rig.turn(id, 'What is a fence?', 'A fence is a name that is given out once.\n\nWhoever comes with an older one is refused.');
  await rig.turn(id, 'Thanks. And a very long word?', LONG, before);
  return id;
}

test('everything can be done with the keyboard', async (t) => {
  const rig = await start(t);
  const { page, upstream } = rig;
  await rig.create({ session_id: 'one' });
  await rig.create({ session_id: 'two' });
  await page.locator('#rows tr').nth(1).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'main');
  await page.keyboard.press('/');
  assert.equal(await focused(), 'filter');
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), 'two');
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), 'one');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, 'solid');
  await page.keyboard.press('Enter');
  await until('the field has the focus', async () => (await focused()) === 'say');
  await page.keyboard.type('line one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('line two');
  await page.keyboard.press('Enter');
  const asked = await upstream.next();
  assert.equal(asked.question, 'line one\nline two');
  asked.begin().say('reply');
  await readsSoFar(page, 'reply');
  asked.done();
  await page.locator('#announcer', { hasText: /reply/ }).waitFor({ state: 'attached' });
  await until('it is recorded', async () => (await page.locator('.past .message').count()) === 2);
  // Back to the field behind its button, forward to the delete: every step is a tab.
  for (let steps = 0; (await focused()) !== 'Delete…'; steps += 1) {
    assert.ok(steps < 60, 'the delete cannot be reached');
    await page.keyboard.press('Shift+Tab');
  }
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'confirm-no');
  await page.keyboard.press('Escape');
  await until('the button has the focus again', async () => (await focused()) === 'Delete…');
  await page.keyboard.press('Escape');
  await until('the list has it', async () => (await focused()) === 'one');
  assert.equal(await page.evaluate(() => location.hash), '#/');
  await page.keyboard.press('Enter');
  await until('the field has the focus', async () => (await focused()) === 'say');
  await page.keyboard.type('kept');
  await page.keyboard.press('Escape');
  assert.equal(await page.inputValue('#say'), 'kept');
});

/** The contrast of every text that is seen, with where it is. */
function contrasts(page) {
  return page.evaluate(() => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
    const rgba = (color) => {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data];
    };
    const light = (color) => {
      const [r, g, b] = color.map((it) => it / 255).map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (it) => {
      for (let at = it; at; at = at.parentElement) {
        const color = rgba(getComputedStyle(at).backgroundColor);
        if (color[3] === 255) return color;
      }
      return [255, 255, 255, 255];
    };
    const found = [];
    for (const it of document.querySelectorAll('body *')) {
      const own = [...it.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== '');
      if (!own || it.closest('.hidden, .skip') || it.disabled || !it.checkVisibility()) continue;
      const [one, two] = [light(rgba(getComputedStyle(it).color)), light(ground(it))].sort((a, b) => b - a);
      found.push([(one + 0.05) / (two + 0.05), `${it.tagName}.${it.className}: ${it.textContent.slice(0, 30)}`]);
    }
    return found;
  });
}

for (const colorScheme of ['light', 'dark']) {
  test(`it can be read in ${colorScheme}`, async (t) => {
    const rig = await start(t, [], { colorScheme });
    const { page, upstream } = rig;
    const id = await furnish(rig);
    await page.locator('#rows tr').nth(5).waitFor();
    await rig.shot(`list-${colorScheme}`);
    const looked = [await contrasts(page)];
    await page.goto(`${rig.line.url}/#/s/${id}`);
    await page.waitForSelector('.past .message');
    await say(page, 'Say something slowly');
    const asked = (await upstream.next()).begin().say('Slowly, ', 'word ', 'by ', 'word');
    await readsSoFar(page, 'Slowly, word by word');
    await page.locator('.turn[data-runs="true"]').first().waitFor();
    await rig.shot(`chat-${colorScheme}`);
    looked.push(await contrasts(page));
    asked.cut();
    await page.locator('.exchange[data-outcome="failed"]').waitFor();
    looked.push(await contrasts(page));
    await page.getByRole('link', { name: 'Records' }).click();
    await page.locator('.records summary').first().click();
    looked.push(await contrasts(page));
    await page.getByRole('button', { name: 'Delete…' }).click();
    await rig.shot(`delete-${colorScheme}`);
    looked.push(await contrasts(page));
    const all = looked.flat();
    assert.ok(all.length > 100, `${all.length} texts`);
    const weak = all.filter(([contrast]) => contrast < 4.5).map(([contrast, where]) => `${contrast.toFixed(2)} ${where}`);
    assert.deepEqual(weak, []);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(ground, colorScheme === 'light' ? 'rgb(244, 245, 247)' : 'rgb(18, 21, 27)');
  });
}

for (const width of [360, 320]) {
  test(`on a telephone ${width} pixels wide nothing goes beyond its edge`, async (t) => {
    const rig = await start(t, [], { viewport: { width, height: 740 }, hasTouch: true, isMobile: true });
    const { page, upstream } = rig;
    const id = await furnish(rig);
    const fits = async () => {
      const { scroll, wide } = await page.evaluate((edge) => {
        const within = (it) => it.closest('#counters, pre') === null && it.closest('.hidden, thead, .skip') === null;
        const beyond = [...document.querySelectorAll('body *')].filter((it) => within(it) && it.checkVisibility()
          && it.getBoundingClientRect().right > edge + 0.5);
        return { scroll: document.scrollingElement.scrollWidth, wide: beyond.map((it) => `${it.tagName}.${it.className}#${it.id}`) };
      }, width);
      assert.deepEqual(wide, []);
      assert.ok(scroll <= width, `${scroll}`);
    };
    await page.locator('#rows tr').nth(5).waitFor();
    await rig.shot(`list-phone-${width}`);
    await fits();
    await page.locator('#rows a', { hasText: 'demo' }).tap();
    await page.waitForSelector('.past .message');
    await fits();
    await page.fill('#say', 'from a telephone');
    await page.getByRole('button', { name: 'Send' }).tap();
    const asked = (await upstream.next()).begin().say('hello ', LONG);
    await readsSoFar(page, `hello ${LONG}`);
    await rig.shot(`chat-phone-${width}`);
    await fits();
    asked.done();
    await until('it is recorded', async () => (await page.locator('.past .message').count()) === 6);
    await page.getByRole('link', { name: 'Records' }).tap();
    await page.locator('.records summary').last().tap();
    await fits();
    await page.getByRole('button', { name: 'Delete…' }).tap();
    await fits();
    await page.getByRole('button', { name: 'Keep' }).tap();
    await page.getByRole('link', { name: '‹ Sessions' }).tap();
    await page.locator('#rows a', { hasText: 'demo' }).waitFor();
    await seeExactly(page, []);
    assert.equal(await page.evaluate(() => location.hash), '#/');
    assert.ok(id);
  });
}
