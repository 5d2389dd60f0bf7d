// Does something again and again, while somebody looks.

/** How long a pause becomes at most when it fails. */
const SLOWEST = 10_000;

/** Tells of `back`: the server answers again, or is another run of it. */
export const server = new EventTarget();

/**
 * Does `work` at once and then every so many milliseconds: later after a failure, not at all while the tab is hidden,
 * and at once when it is seen again or the server is back.
 */
export function poll(work, every) {
  let timer = null;
  let failures = 0;
  let running = false;
  let again = false;
  let stopped = false;

  async function round() {
    try {
      await work();
      failures = 0;
    } catch (error) {
      if (error.status === undefined && error.name !== 'AbortError') console.error(error);
      failures = Math.min(failures + 1, 10);
    }
  }

  async function run() {
    clearTimeout(timer);
    if (stopped) return;
    again = running;
    if (running) return;
    running = true;
    do {
      again = false;
      await round();
    } while (again && !stopped);
    running = false;
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (stopped || document.hidden) return;
    timer = setTimeout(run, Math.min(every * 2 ** failures, Math.max(every, SLOWEST)));
  }

  function wake() {
    failures = 0;
    // What was planned is not done while nobody looks.
    if (document.hidden) clearTimeout(timer);
    else run();
  }

  document.addEventListener('visibilitychange', wake);
  server.addEventListener('back', wake);
  run();
  return {
    now: run,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
      server.removeEventListener('back', wake);
    },
  };
}

/** Waits until the tab is seen, or `signal` says that nobody cares. */
export function seen(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
  });
}

/** Waits; shorter if the server comes back or `signal` says so. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      server.removeEventListener('back', over);
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, milliseconds);
    server.addEventListener('back', over);
    signal?.addEventListener('abort', over);
  });
}
