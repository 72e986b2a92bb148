/** What made a component, which packages are compiled in, its parts by their hash; and who gives what to whom. */
import {bytes, count, h, shown} from '../dom.js';

/** Rows of a table before somebody asks for more. */
const MADE_FIRST = 200;

/** Parts by their paths. */
const madePaths = new WeakMap();

/** The tab; nothing in it changes once it was made. */
export class ComponentMade {
  constructor(ctx) {
    this.component = ctx.model.component;
    this.element = h('div', {class: 'made'});
  }

  show() {
    if (this.element.childNodes.length) return;
    this.element.append(...[this.tools(), this.packages(), this.parts()].filter(Boolean));
  }

  tools() {
    const fields = new Map();
    for (const part of this.component.parts) {
      for (const [field, name, version] of part.producers) {
        if (!fields.has(field)) fields.set(field, new Map());
        const tools = fields.get(field);
        const tool = `${name} ${version}`.trim();
        tools.set(tool, [...tools.get(tool) ?? [], part.path]);
      }
    }
    if (!fields.size) return madeCard('Made by', h('p', {class: 'muted'}, 'No part says what made it.'));
    return madeCard('Made by', h('dl', {}, [...fields].map(([field, tools]) => [h('dt', {}, shown(field)),
      h('dd', {}, [...tools].map(([tool, paths]) => h('span', {class: 'badge', title: paths.map((path) =>
        madePlace(this.component, path)).join(', ')}, shown(tool))))])));
  }

  packages() {
    const rows = this.component.parts.flatMap((part) => part.packages.map(([name, version, source, kind]) =>
      [shown(name), shown(version), shown(source), shown(kind), madePlace(this.component, part.path)]));
    if (!rows.length) return null;
    return madeCard(`Packages compiled in, ${count(rows.length)}`,
      madeTable(['name', 'version', 'from', 'kind', 'in'], rows));
  }

  parts() {
    return madeCard('Parts', madeTable(['part', 'size', 'sha256'], this.component.parts.map((part) =>
      [madePlace(this.component, part.path), bytes(part.size), h('code', {class: 'hash'}, part.sha256)])));
  }
}

/** The tab of who gives the components inside what they import. */
export class ComponentEdges {
  constructor(ctx) {
    this.component = ctx.model.component;
    this.element = h('div', {class: 'made'});
  }

  show() {
    if (this.element.childNodes.length) return;
    const rows = this.rows().map((row) => [row.to, row.as, row.from, edgeNames(row.names), row.reached]);
    this.element.append(madeCard('Who gives what to whom', rows.length
      ? madeTable(['to', 'as', 'from', 'functions', 'can be reached'], rows)
      : h('p', {class: 'muted'}, 'No component inside imports functions.')));
  }

  /** One for each component, import and giver. */
  rows() {
    const found = new Map();
    for (const one of this.component.capabilities.slice(1)) {
      const to = madePlace(this.component, this.component.parts[one.part].path);
      for (const each of one.imports) {
        for (const item of each.functions) {
          for (const provider of item.providers) {
            const from = this.giver(provider, each);
            const key = JSON.stringify([one.part, each.name, from]);
            if (!found.has(key)) found.set(key, {to, as: shown(each.name), from, names: [], reached: 0});
            const row = found.get(key);
            row.names.push(item.name);
            row.reached += item.reachable ? 1 : 0;
          }
        }
      }
    }
    return [...found.values()];
  }

  giver([kind, path, name], each) {
    if (kind === 'outside') return 'code that is not in here';
    if (kind === 'component') return madePlace(this.component, path);
    const source = name.split('#').slice(0, -1).join('#');
    return `the host${source && source !== each.name ? `: ${shown(source)}` : ''}`;
  }
}

/** A few names, more of them folded. */
function edgeNames(names) {
  const list = h('span', {class: 'mono'}, names.map(shown).join(', '));
  return names.length < 4 ? list : h('details', {}, h('summary', {}, count(names.length)), list);
}

/** A part by its path: with its own name, where it has one. */
function madePlace(component, path) {
  if (!path) return 'the component';
  if (!madePaths.has(component)) madePaths.set(component, new Map(component.parts.map((part) => [part.path, part])));
  const part = madePaths.get(component).get(path);
  return shown(part?.name ? `${path} “${part.name}”` : path);
}

function madeCard(title, ...inside) {
  return h('section', {class: 'card'}, h('h2', {}, title), inside);
}

function madeTable(heads, rows) {
  const line = (row) => h('tr', {}, row.map((cell) => h('td', {class: typeof cell === 'number' ? 'number' : null},
    typeof cell === 'number' ? count(cell) : cell)));
  const body = h('tbody', {}, rows.slice(0, MADE_FIRST).map(line));
  const rest = rows.slice(MADE_FIRST);
  const more = rest.length ? h('button', {on: {click: () => {
    body.append(...rest.map(line));
    more.remove();
  }}}, `${count(rest.length)} more …`) : null;
  return h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': heads.join(', ')}, h('table', {},
    h('thead', {}, h('tr', {}, heads.map((head) => h('th', {scope: 'col'}, head)))), body), more);
}
