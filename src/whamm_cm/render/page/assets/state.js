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

/** Keeps the fragment; `changed(state)` is called after every change, also by Back and by hand. */
export class State {
  constructor(changed) {
    this.changed = changed;
    this.now = stateParse(location.hash);
    addEventListener('popstate', () => this.read());
    addEventListener('hashchange', () => this.read());
  }

  read() {
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
    const text = stateText(next);
    if (text === stateText(this.now)) return;
    this.now = next;
    history[push ? 'pushState' : 'replaceState'](null, '', `#${text}`);
    this.changed(next);
  }

  /** The fragment of the state with these changes, for links. */
  link(changes) {
    const next = Object.assign(Object.create(null), this.now, changes);
    return `#${stateText(next)}`;
  }
}
