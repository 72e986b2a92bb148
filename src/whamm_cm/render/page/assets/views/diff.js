/** Two releases: what the new one may do, where the bytes went, and how WIT, tools and packages differ. */
import {bytes, count, h, percent, shown} from '../dom.js';
import {wayList} from './component_ways.js';
import {witLine} from './component_wit.js';

const DIFF_WORDS = {
  'import-added': 'import, new', 'import-removed': 'import, gone', 'import-version': 'import, other version',
  'function-added': 'function, new', 'function-removed': 'function, gone',
  'newly-reachable': 'can be reached now', 'no-longer-reachable': 'can no longer be reached',
  'export-added': 'export, new', 'export-removed': 'export, gone', 'export-version': 'export, other version',
  size: 'size',
};
const DIFF_FIRST = 12;

class DiffView {
  constructor(ctx) {
    this.ctx = ctx;
    this.diff = ctx.model.diff;
    const {old, new: now} = this.diff;
    const more = this.diff.changes.filter((each) => each.new);
    const other = this.diff.changes.filter((each) => !each.new && each.kind !== 'size');
    this.element = h('div', {}, this.head(old, now, more),
      this.changes('It can do more', more, 'Nothing: it can do no more than the release before.', 'more'),
      this.changes('Other changes', other, null, 'other'),
      this.sizes(old, now), this.wit(), this.made());
  }

  show() {}

  head(old, now, more) {
    const grown = now.size - old.size;
    return h('section', {class: 'head'},
      h('h2', {}, shown(old.file), h('span', {class: 'muted'}, ' → '), shown(now.file)),
      h('p', {}, h('span', {class: `badge ${more.length ? 'warn' : 'good'}`},
        more.length ? `can do more: ${count(more.length)}` : 'can do no more than before'), ' ',
      h('span', {class: 'badge'}, grown ? `${diffSigned(grown)} (${diffShare(old.size, now.size)})` : 'same size'), ' ',
      old.sha256 === now.sha256 ? h('span', {class: 'badge good'}, 'the same bytes') : null));
  }

  changes(title, rows, none, id) {
    if (!rows.length && !none) return null;
    return h('section', {class: `card ${id}`}, h('h2', {}, title),
      rows.length ? h('ul', {class: 'changes'}, rows.map((each) => this.change(each))) : h('p', {class: 'good'}, none));
  }

  change(one) {
    const tone = one.new ? 'warn' : '';
    const alone = one.kind !== 'import-added';
    return h('li', {},
      h('div', {class: 'change'}, diffSign(one.sign), h('span', {class: 'mono item'}, shown(one.item)),
        h('span', {class: `badge ${tone}`}, DIFF_WORDS[one.kind] ?? one.kind),
        one.detail ? h('span', {class: 'muted'}, shown(one.detail)) : null),
      one.functions.length ? h('ul', {class: 'functions'}, one.functions.map((each) => this.way(each, alone))) : null);
  }

  way([name, reachable, way], alone) {
    if (!reachable) {
      return h('li', {}, alone ? null : h('span', {class: 'mono'}, shown(name)), ' ',
        h('span', {class: 'badge good'}, 'cannot be reached'));
    }
    if (!way) return h('li', {}, h('span', {class: 'mono'}, shown(name)));
    const box = h('details', {}, h('summary', {}, alone ? 'a way to it' : h('span', {class: 'mono'}, shown(name)),
      alone ? null : h('span', {class: 'muted'}, ' can be reached: by which way?')));
    box.addEventListener('toggle', () => {
      if (box.open && box.childNodes.length === 1) {
        box.append(wayList(this.ctx.model.component, way, (module, index) => this.link(module, index)));
      }
    });
    return h('li', {}, box);
  }

  link(module, index) {
    const part = this.ctx.model.component.parts.find((each) => each.path === module);
    return part ? this.ctx.link({view: 'component', 'component.tab': 'contents',
      'component.at': `${part.path || 'root'}/code/f${index}`}) : null;
  }

  sizes(old, now) {
    const parts = this.diff.parts.filter((each) => !each.same);
    const same = this.diff.parts.length - parts.length;
    const note = `${bytes(old.size)} before, ${bytes(now.size)} now.`
      + (same ? ` ${count(same)} of ${count(this.diff.parts.length)} parts are the same, byte for byte.` : '');
    const largest = Math.max(1, ...parts.map((each) => Math.abs((each.new ?? 0) - (each.old ?? 0))));
    return h('section', {class: 'card sizes'}, h('h2', {}, 'Where the bytes went'), h('p', {class: 'muted'}, note),
      parts.map((each) => this.part(each, largest)));
  }

  part(part, largest) {
    const grown = (part.new ?? 0) - (part.old ?? 0);
    const name = part.name ? `${part.name}` : part.path || 'all of it';
    const state = part.old === null ? 'new' : part.new === null ? 'gone' : '';
    const moved = part.was !== null && part.new !== null && part.was !== part.path
      ? ` was ${part.was}` : '';
    return h('details', {class: 'part', open: this.diff.parts.length < 4},
      h('summary', {}, h('span', {class: 'name'}, shown(name), h('span', {class: 'muted'},
        ` ${part.kind === 'module' ? 'core module' : part.kind}${shown(moved)}`),
      state ? h('span', {class: 'badge'}, state) : null),
      h('span', {class: 'number'}, diffSigned(grown)), diffBar(grown, largest)),
      diffTable(part.sections, 'section'), diffTable(part.functions, 'function'));
  }

  wit() {
    if (!this.diff.wit.length) return null;
    return h('section', {class: 'card'}, h('h2', {}, 'WIT'),
      h('div', {class: 'code', role: 'region', 'aria-label': 'WIT', tabindex: '0'},
        this.diff.wit.map(([sign, line]) => h('div', {class: `line ${DIFF_CLASSES[sign] ?? ''}`},
          h('span', {class: 'at', title: DIFF_TITLES[sign] ?? null}, sign === '@' ? '⋯' : sign),
          h('code', {}, sign === '@' ? shown(line) : witLine(line))))));
  }

  made() {
    const tools = this.diff.tools.map(([sign, field, name, was, now]) => [sign, `${name}`, field, was, now]);
    const packages = this.diff.packages.map(([sign, name, was, now]) => [sign, name, 'package', was, now]);
    const rows = [...tools, ...packages];
    if (!rows.length) return null;
    return h('section', {class: 'card'}, h('h2', {}, 'What it is made of'),
      h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'tools and packages'}, h('table', {},
        h('thead', {}, h('tr', {}, ['', 'name', 'as', 'before', 'now'].map((head) =>
          h('th', {scope: 'col'}, head || h('span', {class: 'unseen'}, 'change'))))),
        h('tbody', {}, rows.map(([sign, name, field, was, now]) => h('tr', {}, h('td', {}, diffSign(sign)),
          h('td', {}, shown(name)), h('td', {class: 'muted'}, shown(field)), h('td', {}, shown(was)),
          h('td', {}, shown(now))))))));
  }
}

const DIFF_CLASSES = {'+': 'added', '-': 'removed', '@': 'left-out'};
const DIFF_TITLES = {'+': 'added', '-': 'removed', '~': 'changed'};

function diffSign(sign) {
  return h('span', {class: `sign ${DIFF_CLASSES[sign] ?? ''}`, title: DIFF_TITLES[sign]}, sign);
}

/** `+1.2 KiB`. */
function diffSigned(n) {
  return `${n < 0 ? '−' : n > 0 ? '+' : ''}${bytes(Math.abs(n))}`;
}

function diffShare(old, now) {
  return `${now < old ? '−' : '+'}${percent(Math.abs(now - old), old)}`;
}

/** To the right what grew, to the left what shrank. */
function diffBar(grown, largest) {
  return h('span', {class: `change-bar ${grown < 0 ? 'shrunk' : 'grown'}`, 'aria-hidden': 'true',
    style: {'--share': Math.abs(grown) / largest}});
}

/** What differs the most, and the rest when it is asked for. */
function diffTable(rows, what) {
  if (!rows.length) return null;
  const largest = Math.max(1, ...rows.map(([, was, now]) => Math.abs(Math.max(now, 0) - Math.max(was, 0))));
  const line = ([name, was, now]) => h('tr', {},
    h('td', {class: 'mono name'}, shown(name)),
    h('td', {class: 'number'}, was < 0 ? 'new' : bytes(was)), h('td', {class: 'number'}, now < 0 ? 'gone' : bytes(now)),
    h('td', {class: 'number'}, diffSigned(Math.max(now, 0) - Math.max(was, 0))),
    h('td', {class: 'wide'}, diffBar(Math.max(now, 0) - Math.max(was, 0), largest)));
  const body = h('tbody', {}, rows.slice(0, DIFF_FIRST).map(line));
  const rest = rows.slice(DIFF_FIRST);
  const button = rest.length ? h('button', {on: {click: () => {
    body.append(...rest.map(line));
    button.remove();
  }}}, `${count(rest.length)} more …`) : null;
  return h('div', {class: 'scroll', tabindex: '0', role: 'group', 'aria-label': `${what}s that differ`}, h('table', {},
    h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, what), ['before', 'now', 'difference'].map((head) =>
      h('th', {scope: 'col', class: 'number'}, head)), h('td', {}))), body), button);
}

export const diffView = {
  id: 'diff', title: 'Difference', order: 8,
  has: (model) => Boolean(model.diff),
  create: (ctx) => new DiffView(ctx),
};
