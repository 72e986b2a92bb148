/** The state of the page: it is in the address's fragment and nowhere else, so that links carry it. */

/** `#view=table&q=%25http` as an object of texts; what cannot be read is left out. */
export function stateParse(fragment) {
  const state = Object.create(null);
  for (const part of fragment.replace(/^#/, '').split('&')) {
    const at = part.indexOf('=');
    if (at <= 0) continue;
    try {
      state[decodeURIComponent(part.slice(0, at))] = decodeURIComponent(part.slice(at + 1).replace(/\+/g, ' '));
    } catch {
      // A fragment is written by anybody: half an escape is no state.
    }
  }
  return state;
}

/** The other way; keys in order, so that equal states are equal links. */
export function stateText(state) {
  return Object.keys(state)
    .filter((key) => state[key] !== '' && state[key] !== null && state[key] !== undefined)
    .sort((a, b) => (a === 'view' ? -1 : b === 'view' ? 1 : a < b ? -1 : 1))
    .map((key) => `${stateEncoded(key)}=${stateEncoded(state[key])}`)
    .join('&');
}

/** Half a surrogate pair, which a guest may name anything by, is no text that an address can hold. */
function stateEncoded(text) {
  return encodeURIComponent(String(text).replace(/\p{Cs}/gu, '\ufffd'));
}

/** Browsers refuse to have their address changed more often than about 100 times in 30 seconds. */
const STATE_BURST = 40;
const STATE_EACH_MS = 400;

/** Keeps the fragment; `changed(state)` is called after every change, also by Back and by hand. */
export class State {
  constructor(changed) {
    this.changed = changed;
    this.now = stateParse(location.hash);
    this.left = STATE_BURST;
    this.asked = 0;
    this.timer = 0;
    addEventListener('popstate', () => this.read());
    addEventListener('hashchange', () => this.read());
    addEventListener('pagehide', () => this.timer && this.write(false, true));
  }

  read() {
    clearTimeout(this.timer);
    this.timer = 0;
    const next = stateParse(location.hash);
    if (stateText(next) === stateText(this.now)) return;
    this.now = next;
    this.changed(next);
  }

  /** Sets keys (null: takes them away).  `push`: Back comes back to what was before. */
  set(changes, push = false) {
    const next = Object.assign(Object.create(null), this.now);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === '') delete next[key];
      else next[key] = String(value);
    }
    if (stateText(next) === stateText(this.now)) return;
    if (push && this.timer) this.write(false, true);
    this.now = next;
    this.write(push, push);
    this.changed(next);
  }

  /** Puts the state into the address: at once, or, where that was done very often lately, a little later. */
  write(push, now) {
    const ms = performance.now();
    this.left = Math.min(STATE_BURST, this.left + (ms - this.asked) / STATE_EACH_MS);
    this.asked = ms;
    if (this.left < 1 && !now) {
      this.timer ||= setTimeout(() => {
        this.timer = 0;
        this.write(false, false);
      }, STATE_EACH_MS);
      return;
    }
    clearTimeout(this.timer);
    this.timer = 0;
    this.left -= 1;
    history[push ? 'pushState' : 'replaceState'](null, '', `#${stateText(this.now)}`);
  }

  /** The fragment of the state with these changes, for links. */
  link(changes) {
    const next = Object.assign(Object.create(null), this.now, changes);
    return `#${stateText(next)}`;
  }
}
