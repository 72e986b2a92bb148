/** The filter: the language of `-e`, conditions on calls beside it, a range of times; and its box. */
import {count, h, ns, shown, shownCut} from '../dom.js';
import {CANCELLED, DENIED, FAILED, OUTCOMES} from '../model.js';
import {SetError, SiteSet} from '../sets.js';

const FILTER_UNITS = {
  dur: {'': 1, ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9},
  bytes: {'': 1, B: 1, K: 1024, KiB: 1024, M: 1 << 20, MiB: 1 << 20, G: 1 << 30, GiB: 1 << 30},
};
FILTER_UNITS.self = FILTER_UNITS.dur;
const FILTER_STATUSES = {
  ok: (calls, i) => calls.outcome[i] === 0 && !(calls.flags[i] & (FAILED | CANCELLED)),
  failed: (calls, i) => (calls.flags[i] & FAILED) !== 0,
  denied: (calls, i) => (calls.flags[i] & DENIED) !== 0,
  cancelled: (calls, i) => (calls.flags[i] & CANCELLED) !== 0,
  pending: (calls, i) => OUTCOMES[calls.outcome[i]] === 'pending',
  unfinished: (calls, i) => OUTCOMES[calls.outcome[i]] === 'unfinished',
};
/** What conditions there are, as they are offered. */
const FILTER_HINTS = [
  ['status=failed', 'calls that failed'],
  ['status=denied', 'calls that were not allowed'],
  ['status=pending,unfinished', 'calls that never returned'],
  ['dur>1ms', 'calls that took longer'],
  ['self>1ms', 'calls that took longer by themselves'],
  ['bytes>4K', 'calls that moved more'],
  ['edge=export', 'calls of exports; also import, inner, builtin'],
  ['instance=1', 'calls in an instance; also task=, req='],
];
const FILTER_CONDITION = /^(status|edge|component|instance|task|req|dur|self|bytes)(!=|<=|>=|=|<|>)(.+)$/u;
const FILTER_WORDS = /"[^"]*("?)|[^\s]+/gu;
const FILTER_COMPARE = {
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/** Names of a site: `[roots, others]`, as `SiteSet.selects` takes them. */
export function filterNames(row, inner) {
  const {interface: own, version, func} = row;
  const [first, ...more] = func.split('|');
  const roots = [[[own, version || null, first]]];
  for (const word of more) {
    const at = word.indexOf('#');
    const [name, number] = at < 0 ? [own, version] : word.slice(0, at).split('@');
    roots.push([[name, number || null, at < 0 ? word : word.slice(at + 1)]]);
  }
  const labelled = row.name.indexOf(`<${own}>#`);
  if (own && labelled > 0) roots[0].push([row.name.slice(0, labelled), null, first]);
  return [roots, inner ?? []];
}

/** `text` as `{set, conditions}`; SetError where it is wrong.  Words that are conditions, and texts between
 * quotes, are taken out of it; what is left is a set. */
export function filterParse(text, classes) {
  const conditions = [];
  const rest = [...text];
  for (const found of text.matchAll(FILTER_WORDS)) {
    const word = found[0];
    const at = [...text.slice(0, found.index)].length;
    if (word.startsWith('"')) {
      if (!found[1]) throw new SetError('the text is never closed by another "', at);
      const wanted = word.slice(1, -1).toLowerCase();
      conditions.push({ofSite: (row) => row.name.toLowerCase().includes(wanted)});
    } else {
      const parts = FILTER_CONDITION.exec(word);
      if (!parts) continue;
      conditions.push(filterCondition(parts, at));
    }
    rest.fill(' ', at, at + [...word].length);
  }
  const left = rest.join('');
  return {set: left.trim() ? new SiteSet(left, classes) : null, conditions};
}

function filterCondition([, key, operator, value], at) {
  const compare = FILTER_COMPARE[operator];
  const values = value.split(',');
  if (key in FILTER_UNITS) {
    const parts = /^(\d+(?:\.\d+)?)(\D*)$/u.exec(value);
    if (!parts || !Object.hasOwn(FILTER_UNITS[key], parts[2])) {
      throw new SetError(
        `${key}: expected a number with a unit such as ${key === 'bytes' ? '4K' : '1.5ms'}`,
        at,
      );
    }
    const limit = Number(parts[1]) * FILTER_UNITS[key][parts[2]];
    return {ofCall: (calls, i) => calls[key][i] >= 0 && compare(calls[key][i], limit)};
  }
  if (operator !== '=' && operator !== '!=') throw new SetError(`${key} takes = and != only`, at);
  const wanted = operator === '=';
  if (key === 'edge' || key === 'component') return {ofSite: (row) => values.includes(row[key]) === wanted};
  if (key === 'status') {
    const tests = values.map((name) => {
      if (!Object.hasOwn(FILTER_STATUSES, name)) {
        throw new SetError(`status "${name}" is none of ${Object.keys(FILTER_STATUSES).join(', ')}`, at);
      }
      return FILTER_STATUSES[name];
    });
    return {ofCall: (calls, i) => tests.some((test) => test(calls, i)) === wanted};
  }
  const numbers = values.map(Number);
  if (!values.every((each) => /^\d+$/.test(each))) throw new SetError(`${key} takes numbers`, at);
  return {ofCall: (calls, i) => numbers.includes(calls[key][i]) === wanted};
}

/** What is taken for calls with all of `text` in their names, as far as it can be said. */
export function filterText(text) {
  const parts = text.split(/["\p{Cs}]+/u).filter(Boolean);
  return parts.map((part) => `"${part}"`).join(' ');
}

/** The filter that chooses `more` of what is chosen now.  A set in `more` takes the place of the one there is, of
 * which it has to be a part; conditions stay. */
export function filterWithin(ctx, more) {
  const {table = []} = ctx.model.classes ?? {};
  const q = ctx.state.q ?? '';
  try {
    filterParse(q, table);
  } catch (error) {
    if (!(error instanceof SetError)) throw error;
    return more;
  }
  const said = new Set(more.match(FILTER_WORDS));
  const words = (q.match(FILTER_WORDS) ?? []).filter((word) => !said.has(word));
  if (!filterParse(more, table).set) return [...words, more].join(' ');
  return [more, ...words.filter((word) => word[0] === '"' || FILTER_CONDITION.test(word))].join(' ');
}

/** Whether the filter has a set of functions, beside conditions. */
export function filterHasSet(ctx) {
  try {
    return filterParse(ctx.state.q ?? '', ctx.model.classes?.table ?? []).set !== null;
  } catch (error) {
    if (!(error instanceof SetError)) throw error;
    return false;
  }
}

/** `from-to` in ns, null for none. */
export function filterRange(text) {
  const found = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(text ?? '');
  return found ? [Number(found[1]), Number(found[2])] : null;
}

/** Which calls `state.q` and `state.t` choose: a mask, 1 for each that is; null: all of them. */
export function filterSelect(ctx) {
  const classes = ctx.model.classes ?? {table: []};
  let [key, mask] = ['', null];
  return (state) => {
    const {calls} = ctx;
    if (!calls || (!state.q && !state.t)) return null;
    const now = JSON.stringify([state.q, state.t, calls.n, calls.version]);
    if (now === key) return mask;
    key = now;
    mask = filterMask(calls, classes, state);
    return mask;
  };
}

function filterMask(calls, classes, state) {
  let found = {set: null, conditions: []};
  try {
    found = filterParse(state.q ?? '', classes.table);
  } catch (error) {
    if (!(error instanceof SetError)) throw error;
  }
  const range = filterRange(state.t);
  if (!found.set && !found.conditions.length && !range) return null;
  const ofCall = found.conditions.flatMap((each) => each.ofCall ?? []);
  const sites = Uint8Array.from(calls.run.sites, (row, number) => {
    const [roots, others] = filterNames(row, classes.inner?.[number]);
    return (!found.set || found.set.selects(row.edge, roots, others)) &&
      found.conditions.every(({ofSite}) => !ofSite || ofSite(row))
      ? 1
      : 0;
  });
  const mask = new Uint8Array(calls.n);
  for (let i = 0; i < calls.n; i += 1) {
    if (!sites[calls.site[i]]) continue;
    if (range && (calls.start[i] > range[1] || calls.start[i] + Math.max(0, calls.dur[i]) < range[0]))
      continue;
    mask[i] = 1;
    for (const test of ofCall) if (!test(calls, i)) mask[i] = 0;
  }
  return mask;
}

/** Of `[text, what]` those that a word may become, those first that begin by it. */
function filterOffers(every, word) {
  const lower = word.toLowerCase();
  const rank = ([text]) => {
    if (text === word || /[\s!{}[\]|]/u.test(text)) return 2;
    const at = text.toLowerCase().indexOf(lower);
    // One letter is in everything.
    if (at < 0 || (lower.length < 2 && at > 1)) return 2;
    return at > (text[0] === '%' ? 1 : 0) ? 1 : 0;
  };
  const ranked = every.map((each) => [rank(each), each]).filter(([at]) => at < 2);
  return ranked.sort(([a], [b]) => a - b).map(([, each]) => each);
}

/** The box of the filter: `{element, show(state)}`.  What is typed counts as soon as it is right. */
export function filterBar(ctx) {
  return new FilterBox(ctx);
}

class FilterBox {
  constructor(ctx) {
    this.ctx = ctx;
    this.at = -1;
    this.offers = [];
    this.known = '';
    this.input = h('input', {
      type: 'search',
      id: 'filter',
      spellcheck: 'false',
      autocomplete: 'off',
      role: 'combobox',
      'aria-expanded': 'false',
      'aria-controls': 'filter-offers',
      'aria-autocomplete': 'list',
      'aria-describedby': 'filter-says',
      placeholder: '%http,!wasi:io/*  status=failed  dur>1ms  "text"',
      on: {
        input: () => this.typed(),
        keydown: (event) => this.key(event),
        focus: () => this.offer(),
        blur: () => this.close(),
        search: () => this.typed(),
      },
    });
    this.list = h('ul', {
      id: 'filter-offers',
      role: 'listbox',
      'aria-label': 'What can be written',
      hidden: true,
    });
    this.says = h('span', {id: 'filter-says', class: 'muted'});
    this.range = h('button', {
      class: 'plain range',
      hidden: true,
      on: {click: () => ctx.set({t: null}, {push: true})},
    });
    this.element = h(
      'div',
      {class: 'filter', role: 'search'},
      h('label', {for: 'filter'}, 'Filter'),
      h('div', {class: 'filter-box'}, this.input, this.list),
      this.range,
      this.says,
    );
  }

  show(state) {
    // What is being written stays, but for a filter that comes from elsewhere, as by Back.
    const {q = ''} = state;
    const writing = document.activeElement === this.input && q === this.known;
    if (!writing && this.input.value.trim() !== q) this.input.value = q;
    this.known = q;
    const range = filterRange(state.t);
    this.range.hidden = !range;
    if (range) {
      const timed = this.ctx.calls.run.timed;
      const [from, to] = range.map((x) => (timed ? ns(x) : count(Math.round(x / 1000))));
      this.range.textContent = `${timed ? '' : 'records '}${from} – ${to} ✕`;
      this.range.setAttribute('aria-label', `From ${from} to ${to}; take the range away`);
    }
    this.tell(this.fault(this.input.value));
  }

  /** What is wrong with the text, null if nothing is. */
  fault(text) {
    try {
      filterParse(text, this.ctx.model.classes?.table ?? []);
      return null;
    } catch (error) {
      if (!(error instanceof SetError)) throw error;
      return error;
    }
  }

  tell(fault) {
    this.input.setAttribute('aria-invalid', fault ? 'true' : 'false');
    this.says.classList.toggle('bad', fault !== null);
    const {calls} = this.ctx;
    const mask = this.ctx.selection();
    let chosen = 0;
    if (mask) for (let i = 0; i < mask.length; i += 1) chosen += mask[i];
    const all = calls ? `${count(calls.n)} ${calls.n === 1 ? 'call' : 'calls'}` : '';
    this.says.textContent = fault
      ? `${shownCut(fault.message, 240)} (at column ${fault.at + 1})`
      : mask
        ? `${count(chosen)} of ${all}`
        : all;
  }

  typed() {
    const fault = this.fault(this.input.value);
    if (!fault) this.ctx.set({q: this.input.value.trim() || null});
    this.tell(fault);
    this.offer();
  }

  /** The word that is being written: where it begins, and it. */
  word() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    const found = /(?:^|[\s,])!?([^\s,!]*)$/u.exec(before);
    return found ? [before.length - found[1].length, found[1]] : [before.length, ''];
  }

  offer() {
    const [, word] = this.word();
    const {table = []} = this.ctx.model.classes ?? {};
    const sites = this.ctx.model.run?.sites ?? [];
    const interfaces = [...new Set(sites.map((row) => row.interface).filter(Boolean))];
    const functions = [...new Set(sites.map((row) => `${row.interface}#${row.func}`))];
    const every = [
      ...table.map((row) => [`%${row.name}`, row.covers]),
      ...FILTER_HINTS,
      ...interfaces.map((name) => [name, 'interface']),
      ...(word.length > 1 ? functions.map((name) => [name, 'function']) : []),
    ];
    this.offers = filterOffers(every, word).slice(0, 14);
    this.at = -1;
    this.draw();
  }

  draw() {
    const open = this.offers.length > 0 && document.activeElement === this.input;
    this.list.hidden = !open;
    this.input.setAttribute('aria-expanded', String(open));
    this.list.replaceChildren(
      ...this.offers.map(([text, what], i) =>
        h(
          'li',
          {
            role: 'option',
            id: `filter-offer-${i}`,
            'aria-selected': String(i === this.at),
            on: {
              mousedown: (event) => {
                event.preventDefault();
                this.take(i);
              },
            },
          },
          h('code', {}, shown(text)),
          ' ',
          h('span', {class: 'muted'}, what),
        ),
      ),
    );
    if (this.at >= 0) {
      this.input.setAttribute('aria-activedescendant', `filter-offer-${this.at}`);
      this.list.children[this.at].scrollIntoView({block: 'nearest'});
    } else {
      this.input.removeAttribute('aria-activedescendant');
    }
  }

  take(i) {
    const [start] = this.word();
    const {input} = this;
    input.setRangeText(this.offers[i][0], start, input.selectionStart, 'end');
    this.typed();
    this.close();
  }

  close() {
    this.offers = [];
    this.draw();
  }

  key(event) {
    const {offers} = this;
    if (event.key === 'Escape') {
      if (!offers.length) this.input.blur();
      this.close();
    } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && offers.length) {
      const step = event.key === 'ArrowDown' ? 1 : -1;
      this.at = (this.at + step + offers.length + (this.at < 0 && step < 0 ? 1 : 0)) % offers.length;
      this.draw();
    } else if (event.key === 'Enter') {
      if (this.at >= 0) this.take(this.at);
      else if (!this.fault(this.input.value))
        this.ctx.set({q: this.input.value.trim() || null}, {push: true});
      this.close();
    } else {
      return;
    }
    event.preventDefault();
  }
}
