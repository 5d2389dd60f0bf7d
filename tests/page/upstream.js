// An upstream that hands each request to the test, and answers as the test says.

import { once } from 'node:events';
import http from 'node:http';

/** A chunk with a piece of text, and whatever else. */
export function chunk(content, more = {}) {
  return JSON.stringify({
    id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm',
    choices: [{ index: 0, delta: { content }, finish_reason: null }], ...more,
  });
}

/** A request that has arrived. */
class Asked {
  constructor(request, response, body) {
    this.headers = request.headers;
    this.body = body;
    this.response = response;
  }

  /** What the last message says. */
  get question() {
    return this.body.messages.at(-1).content;
  }

  /** Begins to stream. */
  begin() {
    this.response.socket.setNoDelay(true);
    this.response.writeHead(200, { 'content-type': 'text/event-stream' });
    this.response.flushHeaders();
    return this;
  }

  /** Says texts, each a chunk; with an object last, that is in each of them. */
  say(...texts) {
    const more = typeof texts.at(-1) === 'object' ? texts.pop() : {};
    for (const text of texts) this.response.write(`data: ${chunk(text, more)}\n\n`);
    return this;
  }

  /** Says something in pieces of so many bytes, whatever they cut. */
  async drip(text, size) {
    const bytes = Buffer.from(`data: ${chunk(text)}\n\n`);
    for (let at = 0; at < bytes.length; at += size) {
      this.response.write(bytes.subarray(at, at + size));
      await new Promise(setImmediate);
    }
  }

  done() {
    this.response.end('data: [DONE]\n\n');
  }

  /** Breaks the line. */
  cut() {
    this.response.destroy();
  }

  /** Answers in one piece. */
  whole(content) {
    const message = { role: 'assistant', content };
    this.status(200, { id: 'c', object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] });
  }

  status(status, body) {
    this.response.writeHead(status, { 'content-type': 'application/json' });
    this.response.end(JSON.stringify(body));
  }
}

export class Upstream {
  #arrived = [];
  #waiting = [];

  static async start() {
    const upstream = new Upstream();
    upstream.server = http.createServer((request, response) => upstream.#take(request, response));
    upstream.server.listen(0, '127.0.0.1');
    await once(upstream.server, 'listening');
    upstream.url = `http://127.0.0.1:${upstream.server.address().port}`;
    return upstream;
  }

  async #take(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const asked = new Asked(request, response, JSON.parse(Buffer.concat(pieces).toString() || 'null'));
    const first = this.#waiting.shift();
    if (first) first(asked);
    else this.#arrived.push(asked);
  }

  /** The next request. */
  next() {
    const first = this.#arrived.shift();
    return first ? Promise.resolve(first) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
