// Asks before something that cannot be taken back.

import { byId, setText } from './dom.js';

/** Asks; resolves with whether the answer is yes. */
export function confirm(title, text, yes) {
  const dialog = byId('confirm-dialog');
  setText(byId('confirm-title'), title);
  setText(byId('confirm-text'), text);
  setText(byId('confirm-yes'), yes);
  return new Promise((resolve) => {
    let answer = false;
    const close = (said) => () => {
      answer = said;
      dialog.close();
    };
    byId('confirm-yes').onclick = close(true);
    byId('confirm-no').onclick = close(false);
    dialog.addEventListener('close', () => resolve(answer), { once: true });
    dialog.showModal();
    byId('confirm-no').focus();
  });
}
