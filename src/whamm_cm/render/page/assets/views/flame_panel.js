/** What the flame graph says in words: a frame with its callers, and the table of functions. */
import {count, h, percent, shown} from '../dom.js';
import {strongColourOf} from '../colours.js';

const FLAME_ROWS = 300;
const FLAME_COLUMNS = [
  ['own', 'Own', 'By the function itself'], ['total', 'Total', 'With what it called'], ['calls', 'Calls', ''],
  ['name', 'Function', ''],
];

/** What there is to say of a frame, as pairs. */
export function flameFacts(tree, id, text) {
  const whole = tree.total[0];
  const facts = [
    ['total', `${text(tree.total[id])}, ${percent(tree.total[id], whole)} of all`],
    ['own', `${text(tree.own[id])}, ${percent(tree.own[id], whole)}`],
  ];
  if (tree.calls[id]) facts.push(['calls', count(tree.calls[id])]);
  if (tree.inlined[id]) facts.push(['inlined', 'put in place of a call by the compiler']);
  return facts;
}

/** Beside the pointer. */
export function flameTip(tree, id, text) {
  return h('div', {}, h('strong', {class: 'mono'}, shown(tree.title(id))),
    h('dl', {}, flameFacts(tree, id, text).flatMap(([key, value]) =>
      [h('dt', {}, key), h('dd', {}, value)])));
}

/** The line below the graph about the chosen frame. */
export class FlamePanel {
  /** @param {{zoom: (id: number) => void, choose: (id: number) => void, around: (id: number) => void,
   *   table: (id: number) => void, counts: () => boolean}} does  `counts`: it is no tree of calls */
  constructor(does) {
    this.does = does;
    this.element = h('div', {class: 'frame', role: 'region', 'aria-label': 'The chosen frame', hidden: true});
  }

  show(tree, id, text) {
    this.element.hidden = id < 0;
    if (id < 0) return;
    const {does} = this;
    const button = (name, title, click) => h('button', {title, on: {click}}, name);
    const path = tree.path(id);
    this.element.replaceChildren(
      h('div', {class: 'line'},
        h('strong', {class: 'mono name'}, shown(tree.title(id))),
        flameFacts(tree, id, text).map(([key, value]) => h('span', {class: 'badge'}, `${key} ${value}`)),
        h('span', {class: 'set'},
          button('Zoom', 'As wide as the graph (F)', () => does.zoom(id)),
          id > 0 && button('Callers and callees', 'Wherever it is called (C)', () => does.around(id)),
          id > 0 && !does.counts() && button('In the table', 'Its calls', () => does.table(id)),
          button('✕', 'Choose none (Esc)', () => does.choose(-1)))),
      path.length > 1 && h('div', {class: 'path mono'}, path.map((each, at) => [
        at > 0 && h('span', {class: 'muted', 'aria-hidden': 'true'}, ' → '),
        each === id
          ? h('span', {}, shown(tree.title(each)))
          : h('button', {class: 'plain', on: {click: () => does.choose(each)}}, shown(tree.title(each))),
      ])) || '');
  }
}

/** The functions, to be sorted and chosen from. */
export class FlameTable {
  /** @param {{choose: (name: number) => void, sort: (key: string) => void}} does */
  constructor(does) {
    this.does = does;
    this.body = h('tbody', {});
    const side = (key) => (key === 'name' ? null : 'number');
    this.heads = FLAME_COLUMNS.map(([key, title, about]) => h('th', {scope: 'col', class: side(key)},
      h('button', {class: 'plain', title: about || null, on: {click: () => does.sort(key)}}, title)));
    this.note = h('p', {class: 'muted note'});
    this.element = h('div', {class: 'functions', role: 'region', tabindex: '0', 'aria-label': 'Functions'},
      h('table', {}, h('thead', {}, h('tr', {}, this.heads)), this.body), this.note);
  }

  /** `find`: what the search chooses; `text`: of a weight; `chosen`: number of a name. */
  show(tree, {sort, find, text, chosen}) {
    const rows = tree.functions().filter((row) => !find || find(tree.names[row.name]));
    const name = (row) => tree.names[row.name];
    rows.sort((a, b) => (sort === 'name' ? 0 : b[sort] - a[sort]) || (name(a) < name(b) ? -1 : 1));
    this.heads.forEach((head, at) => {
      const [key] = FLAME_COLUMNS[at];
      head.hidden = key === 'calls' && !tree.calls.some(Boolean);
      if (key === sort) head.setAttribute('aria-sort', sort === 'name' ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
    this.tree = tree;
    this.body.replaceChildren(...rows.slice(0, FLAME_ROWS).map((row) => this._row(row, text, chosen)));
    const left = rows.length - FLAME_ROWS;
    this.note.textContent = left > 0 ? `${count(left)} more functions: search for them`
      : rows.length ? '' : 'No function has this in its name.';
  }

  _row(row, text, chosen) {
    const {tree, does} = this;
    const name = tree.names[row.name];
    const whole = tree.total[0];
    const said = (weight) => [`${text(weight)} `, h('span', {class: 'muted'}, percent(weight, whole))];
    const bar = h('span', {class: 'share', 'aria-hidden': 'true',
      style: {width: `${(100 * row.own) / whole}%`, background: strongColourOf(name)}});
    return h('tr', {class: row.name === chosen ? 'chosen' : null},
      h('td', {class: 'number'}, h('div', {}, said(row.own)), h('div', {class: 'track'}, bar)),
      h('td', {class: 'number'}, said(row.total)),
      tree.calls.some(Boolean) && h('td', {class: 'number'}, count(row.calls)),
      h('td', {class: 'name'}, h('button', {class: 'plain mono', 'aria-pressed': String(row.name === chosen),
        on: {click: () => does.choose(row.name)}}, shown(name))));
  }
}
