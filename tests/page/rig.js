// The program as it was built, in front of a scripted upstream, seen through a browser.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { Upstream } from './upstream.js';

/** How long anything may take that is waited for, in milliseconds. */
const PATIENCE = 30_000;

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--no-proxy-server',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];
const PROGRAM = process.env.SESSION_SERVER;
const SHOTS = process.env.PAGE_SHOTS;
/** A folder whose files are served in place of those in the program: to try changes without a build. */
const FILES = process.env.PAGE_FILES;

let browser = null;
after(() => browser?.close());

/** Waits until something is so; answers it. */
export async function until(what, so) {
  const end = Date.now() + PATIENCE;
  let last;
  for (;;) {
    try {
      last = await so();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    assert.ok(Date.now() < end, `it was to happen within half a minute: ${what}; at last: ${last?.message ?? JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** A line between the browser and the program, which can be cut. */
class Line {
  #sockets = new Set();
  open = true;

  static async to(port) {
    const line = new Line();
    line.target = port;
    line.server = net.createServer((socket) => line.#join(socket));
    line.server.listen(0, '127.0.0.1');
    await once(line.server, 'listening');
    line.url = `http://127.0.0.1:${line.server.address().port}`;
    return line;
  }

  #join(socket) {
    if (!this.open) return socket.destroy();
    const other = net.connect(this.target, '127.0.0.1');
    for (const [one, two] of [[socket, other], [other, socket]]) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => {});
      one.on('close', () => {
        this.#sockets.delete(one);
        two.destroy();
      });
      one.pipe(two);
    }
  }

  /** Breaks everything that is on it. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  close() {
    this.server.close();
    this.cut();
  }
}

class Rig {
  /** What the browser complained of. */
  complaints = [];

  static async start(t, flags = [], options = {}) {
    const rig = new Rig();
    rig.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'page-'));
    rig.upstream = await Upstream.start();
    const store = options.store ?? `sqlite:${rig.folder}/sessions.db`;
    rig.flags = ['--upstream', rig.upstream.url, '--store', store, '--log', 'warn', ...flags];
    t.after(() => rig.#stop());
    await rig.boot(0);
    rig.line = await Line.to(rig.port);
    browser ??= await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: FLAGS });
    rig.context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    rig.context.setDefaultTimeout(PATIENCE);
    if (FILES) await rig.#serveFiles();
    rig.page = await rig.open();
    return rig;
  }

  /** Starts the program, on a port of its own or on the one that it had. */
  async boot(port = this.port) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/proxy|^SESSION_SERVER/i.test(name)));
    this.program = spawn(PROGRAM, ['--port', String(port), ...this.flags], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.said = '';
    this.program.stdout.on('data', (bytes) => (this.said += bytes));
    this.ended = once(this.program, 'exit');
    const found = await until('the program listens', () => {
      assert.equal(this.program.exitCode, null, this.said);
      return /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(this.said);
    });
    this.port = Number(found[1]);
  }

  async kill(signal = 'SIGKILL') {
    this.program.kill(signal);
    await this.ended;
  }

  /** Opens a tab. */
  async open(hash = '', context = this.context) {
    const page = await context.newPage();
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // That a request failed is what some tests are about.
      const expected = message.text().startsWith('Failed to load resource');
      if (['error', 'warning'].includes(message.type()) && !expected) this.complaints.push(message.text());
    });
    await page.goto(`${this.line.url}/${hash}`);
    return page;
  }

  async #serveFiles() {
    await this.context.route(/\/(page\/.*)?(\?.*)?$/, async (route) => {
      const name = new URL(route.request().url()).pathname.replace('/page/', '').replace(/^\/$/, 'index.html');
      const file = path.join(FILES, name);
      if (!fs.existsSync(file)) return route.continue();
      const response = await route.fetch();
      return route.fulfill({ response, status: 200, body: fs.readFileSync(file) });
    });
  }

  /** Asks the program itself. */
  async ask(method, where, body, headers = {}) {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    return fetch(`http://127.0.0.1:${this.port}${where}`, { method, headers, body: sent });
  }

  async json(where) {
    const response = await this.ask('GET', where);
    assert.equal(response.status, 200, where);
    return response.json();
  }

  async create(body = {}) {
    const response = await this.ask('POST', '/sessions', body);
    assert.equal(response.status, 200);
    return (await response.json()).session_id;
  }

  /** A turn that somebody else has, which is recorded when this resolves. */
  async turn(id, question, reply, before = []) {
    const messages = [...before, { role: 'user', content: question }];
    const asked = this.ask('POST', `/sessions/${id}/v1/chat/completions`, { model: 'm', messages });
    (await this.upstream.next()).whole(reply);
    const response = await asked;
    assert.equal(response.headers.get('x-session-commit'), 'committed');
    await response.text();
    return [...messages, { role: 'assistant', content: reply }];
  }

  /** What was said and answered in the records of a session. */
  async records(id) {
    const { records } = await this.json(`/sessions/${id}`);
    return records.map((it) => [it.request.messages.at(-1).content, it.response.choices[0].message.content]);
  }

  async shot(name, page = this.page) {
    if (!SHOTS) return;
    fs.mkdirSync(SHOTS, { recursive: true });
    await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
  }

  async #stop() {
    await this.context?.close();
    this.line?.close();
    if (this.program.exitCode === null && this.program.signalCode === null) await this.kill();
    this.upstream.stop();
    fs.rmSync(this.folder, { recursive: true });
    assert.deepEqual(this.complaints, [], 'the browser complained');
  }
}

/** Starts everything, for one test. */
export function start(t, flags, options) {
  return Rig.start(t, flags, options);
}

/** Asks in the open chat. */
export async function say(page, text) {
  await page.fill('#say', text);
  await page.press('#say', 'Enter');
}

/** Everything that is said in the open chat, as it is seen: `[who, text]` each. */
export function seen(page) {
  return page.$$eval('.log .message', (all) => all.map((it) => [
    it.dataset.role, [...it.querySelectorAll(':scope > .text')].map((text) => text.textContent).join(''),
  ]));
}

/** Waits until this is what is seen, to the character. */
export async function seeExactly(page, expected) {
  await until(`it is seen: ${JSON.stringify(expected)}`, async () => {
    const there = JSON.stringify(await seen(page));
    if (there !== JSON.stringify(expected)) throw new Error(there);
    return true;
  });
}

/** Waits until the reply that is on its way reads exactly so. */
export async function readsSoFar(page, text) {
  const reply = page.locator('.coming .message[data-role="assistant"] > .text');
  await until(`the reply reads ${JSON.stringify(text)}`, async () => {
    const there = await reply.allTextContents();
    if (there.length !== 1 || there[0] !== text) throw new Error(JSON.stringify(there));
    return true;
  });
}

/**
 * Looks at every change of the page from now on: what the assistant is seen to say must always be the start of one of
 * `replies`, each seen once, and never shorter than it was.
 */
export function guard(page, replies) {
  return page.evaluate((expected) => {
    window.wrong = [];
    window.changes = 0;
    const longest = new Map();
    const look = () => {
      window.changes += 1;
      const texts = [...document.querySelectorAll('.log .message[data-role="assistant"] > .text')].map((it) => it.textContent);
      const used = new Set();
      for (const text of texts.filter((it) => it !== '')) {
        const of = expected.findIndex((reply, at) => !used.has(at) && reply.startsWith(text));
        if (of < 0) window.wrong.push(`strange or doubled: ${text}`);
        used.add(of);
        if (text.length < (longest.get(of) ?? 0)) window.wrong.push(`shorter than before: ${text}`);
        longest.set(of, text.length);
      }
    };
    new MutationObserver(look).observe(document.querySelector('#detail'), { subtree: true, childList: true, characterData: true });
    look();
  }, replies);
}

/** What the guard has found. */
export async function unharmed(page) {
  const { wrong, changes } = await page.evaluate(() => ({ wrong: window.wrong, changes: window.changes }));
  assert.ok(changes > 1, 'nothing has changed, so nothing was looked at');
  assert.deepEqual(wrong, []);
}
