/** The tree of a component as text: a row a node, with bars; and rows of what a search found. */
import {bytes, count, h, percent, shown} from '../dom.js';
import {strongColourOf} from '../colours.js';

/** So many children are shown, and so many more with each press of the button. */
const TREE_FIRST = 100;
const TREE_MORE = 400;
export const COMPONENT_KINDS = {
  component: 'component', module: 'core module', section: 'section', group: 'group', function: 'function',
  data: 'data', rest: '',
};

/** `options`: `pick(node)`, `zoom(node)`. */
export class ComponentRows {
  constructor(options) {
    this.options = options;
    this.open = new Set();
    this.limits = new Map();
    this.element = h('div', {class: 'rows', role: 'tree', 'aria-label': 'Contents',
      on: {keydown: (event) => this.key(event)}});
  }

  /** The tree with everything around `chosen` open. */
  show(tree, chosen) {
    this.tree = tree;
    if (this.open.size === 0) this.open.add(tree.root.id);
    if (chosen !== this.chosen) {
      for (let at = chosen?.parent; at; at = at.parent) this.open.add(at.id);
      this.reveal(chosen);
    }
    this.chosen = chosen;
    this.element.setAttribute('role', 'tree');
    const rows = [];
    this.collect(tree.root, 1, rows);
    this.fill(rows);
  }

  /** What a search found, largest first. */
  list(tree, found, chosen) {
    this.tree = tree;
    this.chosen = chosen;
    const limit = this.limits.get('found') ?? TREE_FIRST;
    const rows = found.slice(0, limit).map((node) => this.row(node, 1, true));
    if (found.length > limit) rows.push(this.more('found', found.length - limit, 1));
    this.fill(rows);
  }

  fill(rows) {
    const focused = document.activeElement?.dataset?.node;
    const inside = this.element.contains(document.activeElement);
    this.element.replaceChildren(...rows);
    const next = inside ? rows.find((row) => row.dataset.node === focused) : null;
    next?.focus({preventScroll: true});
    if (!rows.some((row) => row.tabIndex === 0)) rows[0]?.setAttribute('tabindex', '0');
  }

  /** A child that stands behind the first ones is to be seen. */
  reveal(node) {
    for (let at = node; at?.parent; at = at.parent) {
      const place = at.parent.children.indexOf(at);
      if (place >= (this.limits.get(at.parent.id) ?? TREE_FIRST)) this.limits.set(at.parent.id, place + 20);
    }
  }

  collect(node, level, rows) {
    rows.push(this.row(node, level, false));
    if (!node.children.length || !this.open.has(node.id)) return;
    const limit = this.limits.get(node.id) ?? TREE_FIRST;
    for (const each of node.children.slice(0, limit)) this.collect(each, level + 1, rows);
    if (node.children.length > limit) rows.push(this.more(node.id, node.children.length - limit, level + 1));
  }

  row(node, level, flat) {
    const opened = node.children.length && !flat ? this.open.has(node.id) : null;
    const kind = COMPONENT_KINDS[node.kind];
    const path = flat ? node.path().slice(1, -1).map((each) => shown(each.name)).join(' › ') : '';
    return h('div', {
      class: 'row', role: 'treeitem', 'aria-level': level, 'data-node': node.id,
      'aria-expanded': opened === null ? null : String(opened),
      'aria-selected': String(node === this.chosen), tabindex: node === this.chosen ? '0' : '-1',
      style: {'--level': level - 1}, on: {click: (event) => this.click(event, node)},
    },
    h('span', {class: 'twist', 'aria-hidden': 'true'}, opened === null ? '' : opened ? '▾' : '▸'),
    h('span', {class: 'title', title: shown(node.name)}, shown(node.name),
      kind ? h('span', {class: 'kind'}, ` ${kind}`) : null, path ? h('span', {class: 'kind'}, ` in ${path}`) : null),
    h('span', {class: 'number'}, bytes(node.size)),
    h('span', {class: 'number share'}, percent(node.size, this.tree.root.size)),
    h('span', {class: 'meter', 'aria-hidden': 'true', style: {
      '--share': node.size / Math.max(this.tree.root.size, 1), '--fill': strongColourOf(node.about),
    }}));
  }

  more(id, left, level) {
    return h('button', {class: 'more', style: {'--level': level - 1}, on: {click: () => {
      this.limits.set(id, (this.limits.get(id) ?? TREE_FIRST) + TREE_MORE);
      this.options.pick(this.chosen);
    }}}, `${count(left)} more …`);
  }

  click(event, node) {
    if (event.target.classList.contains('twist') || node === this.chosen) this.toggle(node);
    this.options.pick(node);
  }

  toggle(node) {
    if (!node.children.length) return;
    if (this.open.has(node.id)) this.open.delete(node.id);
    else this.open.add(node.id);
  }

  /** As trees behave: Down, Up, Right opens or goes in, Left closes or goes out, Enter chooses. */
  key(event) {
    const row = event.target.closest?.('.row');
    const node = row && this.tree.byId.get(row.dataset.node);
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...this.element.children];
    const at = rows.indexOf(row);
    const expanded = row.getAttribute('aria-expanded');
    const go = {ArrowDown: rows[at + 1], ArrowUp: rows[at - 1], Home: rows[0], End: rows.at(-1)};
    if (event.key in go) {
      go[event.key]?.focus();
    } else if (event.key === 'ArrowRight' && expanded !== null) {
      if (expanded === 'true') rows[at + 1]?.focus();
      else this.change(node);
    } else if (event.key === 'ArrowLeft') {
      if (expanded === 'true') this.change(node);
      else rows.find((each) => each.dataset.node === node.parent?.id)?.focus();
    } else if (event.key === 'Enter' || event.key === ' ') {
      this.options.pick(node);
    } else {
      return;
    }
    event.preventDefault();
  }

  change(node) {
    this.toggle(node);
    this.options.pick(this.chosen);
  }
}
