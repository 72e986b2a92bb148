/** What made a component, which packages are compiled in, who gives what to whom, and the parts by their hash. */
import {bytes, count, h, shown} from '../dom.js';

/** Rows of a table before somebody asks for more. */
const MADE_FIRST = 200;

/** The tab; nothing in it changes once it was made. */
export class ComponentMade {
  constructor(ctx) {
    this.component = ctx.model.component;
    this.byPath = new Map(this.component.parts.map((part) => [part.path, part]));
    this.element = h('div', {class: 'made'});
  }

  show() {
    if (this.element.childNodes.length) return;
    this.element.append(...[this.tools(), this.edges(), this.packages(), this.parts()].filter(Boolean));
  }

  place(path) {
    const part = this.byPath.get(path);
    return shown(!path ? 'the component' : part?.name ? `${path} “${part.name}”` : path);
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
        this.place(path)).join(', ')}, shown(tool))))])));
  }

  /** Who gives the components inside what they import. */
  edges() {
    const found = new Map();
    for (const one of this.component.capabilities.slice(1)) {
      for (const each of one.imports) {
        for (const item of each.functions) {
          for (const [kind, path, name] of item.providers) this.edge(found, one, each, item, kind, path, name);
        }
      }
    }
    if (!found.size) return null;
    return madeCard('Who gives what to whom', madeTable(['to', 'as', 'from', 'functions', 'can be reached'],
      [...found.values()].map((row) => [row.to, row.as, row.from, row.n, row.reached])));
  }

  edge(found, one, each, item, kind, path, name) {
    const to = this.place(this.component.parts[one.part].path);
    const source = name.split('#').slice(0, -1).join('#');
    const from = kind === 'host' ? `the host${source && source !== each.name ? `'s ${shown(source)}` : ''}`
      : kind === 'outside' ? 'code that is not in here' : this.place(path);
    const key = JSON.stringify([one.part, each.name, from]);
    const row = found.get(key) ?? {to, as: shown(each.name), from, n: 0, reached: 0};
    row.n += 1;
    row.reached += item.reachable ? 1 : 0;
    found.set(key, row);
  }

  packages() {
    const rows = this.component.parts.flatMap((part) => part.packages.map(([name, version, source, kind]) =>
      [shown(name), shown(version), shown(source), shown(kind), this.place(part.path)]));
    if (!rows.length) return null;
    return madeCard(`Packages compiled in, ${count(rows.length)}`,
      madeTable(['name', 'version', 'from', 'kind', 'in'], rows));
  }

  parts() {
    return madeCard('Parts', madeTable(['part', 'size', 'sha256'], this.component.parts.map((part) =>
      [this.place(part.path), bytes(part.size), h('code', {class: 'hash'}, part.sha256)])));
  }
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
