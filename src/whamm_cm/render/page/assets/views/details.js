/** What is known of one call, in a drawer beside the view; and values as trees that unfold. */
import {bytes, count, cut, h, ns, shown, shownCut} from '../dom.js';
import {CANCELLED, DENIED, FAILED, OUTCOMES, siteTitle} from '../model.js';
import {strongColourOf} from '../colours.js';
import {filterText} from './filter.js';

/** Items of a list that are shown at once. */
const DETAILS_ITEMS = 100;
/** Characters of a text that are shown at once. */
const DETAILS_TEXT = 300;
const DETAILS_CHILDREN = 50;
/** Characters of what the filter takes for a pattern, at most. */
const DETAILS_SET = 4096;

/** How a call ended, in a word, and the class of that word's badge. */
export function statusOf(calls, i) {
  const flags = calls.flags[i];
  if (flags & DENIED) return ['denied', 'bad'];
  if (flags & FAILED) return ['failed', 'bad'];
  if (flags & CANCELLED) return ['cancelled', 'warn'];
  const outcome = OUTCOMES[calls.outcome[i]];
  if (outcome === 'returned') return ['ok', ''];
  return [outcome === 'pending' ? 'pending' : 'never returned', 'warn'];
}

function detailsQuoted(text, length) {
  return `"${shownCut(cut(text, length).replace(/["\\]/g, '\\$&'), length)}"`;
}

/** The bytes of base64; null for what is none: a log is written by anybody. */
function detailsBytes(text) {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}

function detailsByteText(data, length) {
  const ends = data.length > length ? '"…' : '"';
  return `b"${Array.from(data.subarray(0, length), (b) =>
    b >= 32 && b < 127 ? String.fromCharCode(b) : `\\x${b.toString(16).padStart(2, '0')}`,
  ).join('')}${ends}`;
}

/** What stands for a value that is not all there, or bytes: a text; null for any other value. */
function detailsMarked(value) {
  if ('~redacted' in value) return `<redacted ${value['~redacted']}>`;
  if ('~bad' in value) return `<bad ${shown(value['~bad'])}>`;
  if ('~deep' in value) return '<too deep>';
  if ('~int' in value) return shown(value['~int']);
  if (typeof value['~str'] === 'string') return `${detailsQuoted(value['~str'], 80)}… of ${value['~cut']}`;
  if (typeof value['~b64'] === 'string') {
    const data = detailsBytes(value['~b64']);
    if (!data) return `<damaged bytes: ${detailsQuoted(value['~b64'], 40)}>`;
    const whole = '~cut' in value ? `… of ${value['~cut']}` : '';
    return `${detailsByteText(data, 60)}${whole}`;
  }
  return null;
}

/** A value on one line, at most about `length` characters. */
export function valueText(value, length = 120) {
  const parts = [];
  let left = length;
  const put = (text) => {
    if (left > 0) parts.push(text);
    left -= text.length;
  };
  const write = (each) => {
    if (left <= 0) return;
    if (typeof each === 'string') put(detailsQuoted(each, Math.max(8, Math.min(60, left))));
    else if (each === null) put('none');
    else if (typeof each !== 'object') put(String(each));
    else writeObject(each);
  };
  const writeList = (list, [open, close], one) => {
    put(open);
    for (let i = 0; i < list.length && left > 0; i += 1) {
      if (i) put(', ');
      one(list[i]);
    }
    put(close);
  };
  const writeObject = (each) => {
    if (Array.isArray(each)) return writeList(each, '[]', write);
    if (Array.isArray(each['~list'])) return writeList([...each['~list'].slice(0, 100), '…'], '[]', write);
    const marked = detailsMarked(each);
    if (marked !== null) return put(marked);
    const entries = Object.entries(each);
    if (entries.length !== 1) {
      return writeList(entries, '{}', ([key, inner]) => {
        put(`${shownCut(key, 40)}: `);
        write(inner);
      });
    }
    put(shownCut(entries[0][0], 40));
    if (entries[0][1] !== null) {
      put('(');
      write(entries[0][1]);
      put(')');
    }
    return undefined;
  };
  write(value);
  return left < 0 ? cut(`${parts.join('')}…`, length + 1) : parts.join('');
}

/** What is inside of a value: `[kind, [[name, value]…]]`; kind "" for what has nothing inside. */
function detailsInside(value) {
  if (value === null || typeof value !== 'object') return ['', []];
  const list = Array.isArray(value) ? value : value['~list'];
  if (Array.isArray(list)) {
    const pairs = list.length && list.every((each) => Array.isArray(each) && each.length === 2);
    const kind = '~list' in value ? `list of ${value['~cut']}, cut` : `list of ${list.length}`;
    return [pairs ? `${kind} pairs` : kind, list.map((each, i) => [String(i), each])];
  }
  if (detailsMarked(value) !== null) return ['', []];
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0][1] === null) return ['', []];
  return [entries.length === 1 ? 'case' : `record of ${entries.length}`, entries];
}

/** A value under its name: a line, or a line that unfolds. */
export function valueTree(name, value, open = false) {
  const label = h('span', {class: 'key'}, shownCut(name, 80));
  const [kind, inside] = detailsInside(value);
  const long = typeof value === 'string' && value.length > DETAILS_TEXT;
  const encoded = value !== null && typeof value === 'object' ? value['~b64'] : '';
  const data = typeof encoded === 'string' && detailsBytes(encoded) ? encoded : '';
  if (!inside.length && !long && !data) {
    const text =
      typeof value === 'string' ? detailsQuoted(value, DETAILS_TEXT) : valueText(value, DETAILS_TEXT);
    return h('div', {class: 'leaf'}, label, ' ', h('span', {class: `value ${detailsKind(value)}`}, text));
  }
  const body = h('div', {class: 'inside'});
  const fill = () => {
    if (body.firstChild) return;
    if (long) body.append(h('pre', {class: 'text', tabindex: '0'}, shownLines(value)));
    else if (data) body.append(h('pre', {class: 'text', tabindex: '0'}, detailsHex(detailsBytes(data))));
    else detailsMore(body, inside, 0);
  };
  const what =
    kind || (long ? `text of ${count(value.length)}` : detailsSize(value, data));
  const tree = h(
    'details',
    {open, on: {toggle: fill}},
    h(
      'summary',
      {},
      label,
      ' ',
      h('span', {class: 'muted'}, what),
      ' ',
      h('span', {class: 'value'}, valueText(value, 80)),
    ),
    body,
  );
  if (open) fill();
  return tree;
}

function detailsSize(value, data) {
  const {length} = detailsBytes(data);
  return `${count(length)}${'~cut' in value ? ` of ${count(value['~cut'])}` : ''} bytes`;
}

function detailsKind(value) {
  if (value === null) return 'none';
  if (typeof value === 'object') return '~int' in value ? 'scalar' : '';
  return typeof value === 'string' ? 'string' : 'scalar';
}

function detailsMore(body, inside, from) {
  const to = Math.min(inside.length, from + DETAILS_ITEMS);
  for (const [name, each] of inside.slice(from, to)) body.append(valueTree(name, each));
  if (to === inside.length) return;
  const more = h(
    'button',
    {
      on: {
        click: () => {
          more.remove();
          detailsMore(body, inside, to);
        },
      },
    },
    `${count(inside.length - to)} more`,
  );
  body.append(more);
}

/** Text of several lines: these stay, all else that cannot be seen is shown. */
export function shownLines(text) {
  return String(text).split('\n').map(shown).join('\n');
}

function detailsHex(data) {
  const lines = [];
  for (let at = 0; at < Math.min(data.length, 4096); at += 16) {
    const row = data.subarray(at, at + 16);
    const digits = Array.from(row, (b) => b.toString(16).padStart(2, '0')).join(' ');
    const text = Array.from(row, (b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '·')).join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${digits.padEnd(47)}  ${text}`);
  }
  if (data.length > 4096) lines.push(`… ${count(data.length - 4096)} bytes more`);
  return lines.join('\n');
}

/** How a site is shown where there is little room: its edge if that is not an import, function, interface. */
export function siteParts(site) {
  const name = site.name.slice(0, Math.max(0, site.name.lastIndexOf(`#${site.func}`)));
  const edge = site.edge === 'export' || site.edge === 'inner' ? site.edge : '';
  return [edge, shown(site.func), shown(name || (site.interface ? site.interface : ''))];
}

/** What the filter takes for this function alone; where its name is no pattern, what contains it. */
export function setOf(site) {
  const set = `${site.interface}#${site.func}`;
  return set.length > DETAILS_SET || /[\s\p{C}"%,!@=<>()[\]{}*?|]/u.test(set) ? filterText(site.name) : set;
}

/** Of these sites, this one alone: also its version, edge and component, where others differ in no more. */
export function filterOfSite(sites, site) {
  const same = sites.filter((each) => each.interface === site.interface && each.func === site.func);
  const several = (key) => same.some((each) => each[key] !== site[key]);
  const set = setOf(site);
  const exact = several('version') && set[0] !== '"' && /^[0-9.]+$/.test(site.version);
  const parts = [exact ? `${site.interface}@=${site.version}#${site.func}` : set];
  if (several('edge')) parts.push(`edge=${site.edge}`);
  if (several('component')) {
    const others = same.map((each) => each.component).filter((name) => name && name !== site.component);
    const [operator, names] = site.component ? ['=', [site.component]] : ['!=', [...new Set(others)]];
    if (!names.some((name) => /[\s",]/.test(name))) parts.push(`component${operator}${names.join()}`);
  }
  return parts.join(' ');
}

/** Everything that is known of call `i`, as an element. */
export function detailsOf(ctx, i) {
  const {calls} = ctx;
  const site = calls.siteOf(i);
  const values = h('div', {class: 'values'}, h('p', {class: 'muted'}, 'reading…'));
  calls.values(i).then((found) => detailsValues(values, found));
  const [status, kind] = statusOf(calls, i);
  const dot = h('span', {
    class: 'dot',
    'aria-hidden': 'true',
    style: {background: strongColourOf(site.interface)},
  });
  return h(
    'div',
    {class: 'details'},
    h('h2', {}, dot, ' ', shown(siteTitle(site)), ' ', h('span', {class: `badge ${kind}`}, status)),
    h('div', {class: 'actions'}, detailsActions(ctx, i, site)),
    values,
    h('h3', {}, 'When and where'),
    h(
      'dl',
      {},
      detailsFacts(ctx, i, site).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
    ),
    detailsAround(ctx, i),
  );
}

function detailsValues(element, {args, result, data, self, about}) {
  element.replaceChildren();
  if (about || self !== undefined) {
    element.append(
      h('h3', {}, 'Called on'),
      h('p', {class: 'mono'}, about ? shown(about) : `handle ${self}`),
    );
  }
  const names = Object.keys(args ?? {});
  element.append(h('h3', {}, 'Arguments'));
  if (!names.length) element.append(h('p', {class: 'muted'}, 'none, or none were recorded'));
  for (const name of names) element.append(valueTree(name, args[name], names.length <= 3));
  if (result !== undefined) element.append(h('h3', {}, 'Result'), valueTree('result', result, true));
  if (data !== undefined) element.append(h('h3', {}, 'Data'), valueTree('data', data, true));
}

function detailsActions(ctx, i, site) {
  const {calls} = ctx;
  const from = Math.max(0, calls.start[i] - calls.dur[i] * 0.2 - 1);
  const to = calls.end(i) + calls.dur[i] * 0.2 + 1;
  const another = (step) => {
    for (let k = i + step; k >= 0 && k < calls.n; k += step)
      if (calls.site[k] === calls.site[i]) return ctx.choose(k);
    return ctx.say('There is no other call of this function.');
  };
  return [
    h('button', {title: 'the call of this function before', on: {click: () => another(-1)}}, '← before'),
    h('button', {title: 'the next call of this function', on: {click: () => another(1)}}, 'next →'),
    h('button', {on: {click: () => ctx.set({q: setOf(site)}, {push: true})}}, 'Only this function'),
    h(
      'button',
      {on: {click: () => ctx.set({t: `${Math.floor(from)}-${Math.ceil(to)}`}, {push: true})}},
      'Only this time',
    ),
    ctx.state.view === 'timeline' ? null : h('button', {on: {click: () => ctx.go('timeline')}}, 'In the timeline'),
    ctx.state.view === 'table' ? null : h('button', {on: {click: () => ctx.go('table')}}, 'In the table'),
  ];
}

/** `[what, text]` of each fact. */
function detailsFacts(ctx, i, site) {
  const {calls} = ctx;
  const {timed} = calls.run;
  const time = (n) => (timed ? ns(n) : count(Math.round(n / 1000)));
  const request = (ctx.model.run.requests ?? []).find((each) => calls.req[i] && each.req === calls.req[i]);
  const waits = calls.waits.get(i) ?? [];
  return [
    ['Call', `${count(i + 1)} of ${count(calls.n)}`],
    ['Began', timed ? `${ns(calls.start[i])} after the first` : `with record ${time(calls.start[i])}`],
    [
      'Took',
      calls.result[i] < 0 ? `no result; ${time(calls.dur[i])} to the end of the log` : ns(calls.result[i]),
    ],
    calls.self[i] >= 0 && ['By itself', ns(calls.self[i])],
    calls.frame[i] !== calls.dur[i] && ['Kept its caller', time(calls.frame[i])],
    waits.length && [
      'Waited',
      `${ns(waits.reduce((sum, [a, b]) => sum + b - a, 0))} in ${count(waits.length)}`,
    ],
    calls.bytes[i] && ['Moved', bytes(calls.bytes[i])],
    ['Instance', String(calls.instance[i])],
    calls.task[i] && ['Task', String(calls.task[i])],
    calls.req[i] && ['Request', `${calls.req[i]}${request ? ` ${shownCut(request.name, 120)}` : ''}`],
    site.component && ['Component', shown(site.component)],
    ['Edge', site.edge],
    site.version && ['Version', shown(site.version)],
  ].filter(Boolean);
}

/** Who called it, and what it called. */
function detailsAround(ctx, i) {
  const {calls} = ctx;
  const link = (k) =>
    h(
      'li',
      {},
      h('button', {class: 'plain mono', on: {click: () => ctx.choose(k)}}, shown(calls.name(k))),
      ' ',
      h('span', {class: 'muted'}, calls.run.timed ? ns(calls.dur[k]) : ''),
    );
  const parent = calls.parent[i];
  const children = [...calls.childrenOf(i).subarray(0, DETAILS_CHILDREN + 1)];
  const more = calls.childrenOf(i).length - DETAILS_CHILDREN;
  return [
    parent >= 0 ? [h('h3', {}, 'Called from'), h('ul', {class: 'calls'}, link(parent))] : null,
    children.length
      ? [
          h('h3', {}, 'Calls made'),
          h('ul', {class: 'calls'}, children.slice(0, DETAILS_CHILDREN).map(link)),
          more > 0 ? h('p', {class: 'muted'}, `and ${count(more)} more`) : null,
        ]
      : null,
  ];
}

/** The drawer: `{element, show(state)}`; it is there while a call is chosen. */
export function detailsDrawer(ctx) {
  const body = h('div', {
    class: 'drawer-body',
    tabindex: '0',
    role: 'group',
    'aria-label': 'what is known of the call',
  });
  const close = h(
    'button',
    {class: 'plain', 'aria-label': 'Close', title: 'Close (Esc)', on: {click: () => ctx.choose(null)}},
    '✕',
  );
  const element = h(
    'aside',
    {class: 'drawer', hidden: true, 'aria-label': 'Call'},
    h('div', {class: 'drawer-head'}, h('strong', {}, 'Call'), close),
    body,
  );
  let drawn = '';
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !element.hidden && !event.target.matches?.('input, dialog, dialog *'))
      ctx.choose(null);
  });
  const show = (state) => {
    const i = /^\d+$/.test(state.call ?? '') && ctx.calls ? Number(state.call) : -1;
    const there = i >= 0 && i < ctx.calls.n;
    const theme = document.documentElement.dataset.theme;
    const key = there ? [state.call, state.view, ctx.progress, theme].join(' ') : '';
    if (key === drawn) return;
    if ((drawn === '') !== (key === '')) requestAnimationFrame(() => dispatchEvent(new Event('resize')));
    drawn = key;
    element.hidden = !there;
    body.replaceChildren(there ? detailsOf(ctx, i) : '');
    if (there) {
      body.scrollTop = 0;
      ctx.say(`${siteTitle(ctx.calls.siteOf(i))}: ${statusOf(ctx.calls, i)[0]}`);
    }
  };
  return {element, show};
}
