/** What a component may do: its imports by function, whether anything can reach them, and by which way. */
import {count, h, shown} from '../dom.js';

/** So many components have their imports shown at first. */
const WAYS_PARTS = 40;
const WAY_WORDS = {
  export: 'exported', start: 'start function', instantiation: 'instantiation', core: 'core', lift: 'enters',
  lower: 'leaves', builtin: 'built-in', outside: 'outside', import: 'import',
};

/** Name of an import with its version, and what it implements where it has a label. */
export function importTitle(one) {
  const whole = one.interface + (one.version ? `@${one.version}` : '');
  return !one.interface || one.name.split('@')[0] === one.interface ? one.name : `${one.name} (implements ${whole})`;
}

/** How the part at a path is called: by its own name, else by the path; nothing for the outermost. */
export function partTitle(component, path) {
  if (!path || component.alone) return '';
  return shown(component.parts.find((each) => each.path === path)?.name ?? path);
}

/**
 * A way as a list of steps.  `component`: of the model; `way`: positions of its frames; `link(module path,
 * function)` → a link to the function, or null.
 */
export function wayList(component, way, link) {
  return h('ol', {class: 'way'}, way.map((position) => {
    const [kind, part, name, via, module, index] = component.frames[position];
    const where = partTitle(component, kind === 'core' ? module : part);
    const by = via && !['call', 'lift', 'import'].includes(via) ? ` by ${via.replaceAll('_', ' ')}` : '';
    const text = shown(name);
    const target = kind === 'core' ? link(module, index) : null;
    return h('li', {}, h('span', {class: `step step-${kind}`}, WAY_WORDS[kind] ?? kind), ' ',
      target ? h('a', {href: target, class: 'mono'}, text) : h('span', {class: 'mono'}, text),
      h('span', {class: 'muted'}, `${where ? `  in ${where}` : ''}${by}`));
  }));
}

/** Rows under the packages of their imports, where there are several. */
function waysGrouped(imports, rows) {
  const groups = new Map();
  for (const [at, one] of imports.entries()) {
    if (!rows[at]) continue;
    const key = /^[^/]+:[^/]+(?=\/)/.exec(one.interface)?.[0] ?? '';
    groups.set(key, [...groups.get(key) ?? [], rows[at]]);
  }
  return [...groups].map(([key, group]) => [groups.size > 1 && key ? h('h3', {}, shown(key)) : null, group]);
}

function waysKey(name, version, func) {
  return `${name ?? ''}@${version ?? ''}#${func}`;
}

/** An import's line: how many of its functions can be reached, as a bar and in words. */
function waysSummary(one, title) {
  const declared = one.functions.filter((f) => f.kind === 'func');
  const reached = declared.filter((f) => f.reachable).length;
  const drops = one.functions.length ? 'only drops of its resources'
    : one.kind === 'instance' ? 'types only' : one.kind;
  const note = !declared.length ? drops : reached ? `${count(reached)} of ${count(declared.length)} can be reached`
    : `none of ${count(declared.length)} can be reached`;
  return h('summary', {}, h('span', {class: 'mono name'}, shown(title)),
    h('span', {class: declared.length ? 'gauge' : '', 'aria-hidden': 'true',
      style: {'--share': reached / Math.max(declared.length, 1)}}),
    h('span', {class: `note ${declared.length && !reached ? 'good' : 'muted'}`}, note));
}

/** The tab.  `show({find, reachable})` lists what matches. */
export class ComponentWays {
  constructor(ctx, link) {
    this.ctx = ctx;
    this.link = link;
    this.component = ctx.model.component;
    this.element = h('div', {class: 'ways'});
    this.open = new Set();
    this.limit = WAYS_PARTS;
  }

  show(matches, only) {
    const {component} = this;
    this.called = this.counts();
    const cards = this.cards(matches, only);
    const rows = component.unreached
      ? [h('p', {class: 'card warn'}, `What can be reached is not known: ${shown(component.unreached)}`)] : [];
    if (!cards.length && !component.unreached) {
      rows.push(h('p', {class: 'empty'}, matches || only ? 'No import matches.'
        : 'It imports nothing: it can only compute.'));
    }
    if (!only) cards.splice(1, 0, ...this.exports(matches));
    this.element.replaceChildren(...rows, ...cards);
  }

  /** The component's, and those of so many components inside that there is room for. */
  cards(matches, only) {
    const cards = [];
    for (const [at, one] of this.component.capabilities.entries()) {
      if (cards.length >= this.limit) {
        const left = this.component.capabilities.length - at;
        cards.push(h('button', {on: {click: () => {
          this.limit *= 4;
          this.show(matches, only);
        }}}, `${count(left)} more components …`));
        break;
      }
      const card = this.part(one, matches, only);
      if (card) cards.push(card);
    }
    return cards;
  }

  /** What the host may call. */
  exports(matches) {
    const found = this.component.exports.filter((one) => !matches || matches(importTitle(one))
      || one.functions.some(matches));
    if (!found.length) return [];
    return [h('section', {class: 'card exports'}, h('h2', {}, 'The host may call'), h('ul', {class: 'functions'},
      found.map((one) => h('li', {}, h('span', {class: 'mono name'}, shown(importTitle(one))),
        one.kind === 'func' ? null : h('span', {class: 'muted mono name'},
          ` ${one.functions.map(shown).join(', ') || (one.kind === 'instance' ? 'types only' : one.kind)}`)))))];
  }

  /** How often each function of the host was called, where there is a run. */
  counts() {
    const {calls, model} = this.ctx;
    if (!calls) return null;
    const bySite = new Map(model.run.counts ?? []);
    for (let i = 0; i < calls.n; i += 1) bySite.set(calls.site[i], (bySite.get(calls.site[i]) ?? 0) + 1);
    const found = new Map();
    for (const [number, n] of bySite) {
      const site = model.run.sites[number];
      if (site.edge !== 'import') continue;
      const key = waysKey(site.interface, site.version, site.func);
      found.set(key, (found.get(key) ?? 0) + n);
    }
    return found;
  }

  part(one, matches, only) {
    const part = this.component.parts[one.part];
    const rows = one.imports.map((each) => this.rows(each, part, matches, only));
    if (!rows.some(Boolean)) return null;
    const functions = one.imports.flatMap((each) => each.functions.filter((f) => f.kind === 'func'));
    const reached = functions.filter((f) => f.reachable).length;
    const root = one.part === 0;
    const name = part.name ? `${part.path} “${part.name}”` : part.path;
    return h('section', {class: 'card'},
      h('h2', {}, root ? 'The host is asked for' : `Inside, ${shown(name)} is given`),
      h('p', {class: 'muted'}, `${count(functions.length)} functions, ${count(reached)} of them can be reached`,
        part.instances === 0 ? '; it is never instantiated' : ''),
      waysGrouped(one.imports, rows));
  }

  rows(one, part, matches, only) {
    const title = importTitle(one);
    const whole = !matches || matches(title);
    const functions = one.functions.filter((f) => (whole || matches(f.name)) && (!only || f.reachable));
    if (!functions.length && (!whole || only)) return null;
    const key = `${part.path}|${one.name}`;
    const called = part === this.component.parts[0] ? this.called : null;
    const list = h('ul', {class: 'functions'});
    const fill = () => {
      if (!list.childNodes.length) list.append(...functions.map((each) => this.item(one, each, called)));
    };
    const box = h('details', {class: 'import', open: this.open.has(key) || Boolean(matches && one.functions.length),
      on: {toggle: () => {
        fill();
        if (box.open) this.open.add(key);
        else this.open.delete(key);
      }}}, waysSummary(one, title), list);
    if (box.open) fill();
    return box;
  }

  /** How often it was called: a link to the calls.  What was not traced was not seen either. */
  seen(one, each, times) {
    if (!times) return h('span', {class: 'badge muted'}, 'not seen in the run');
    const set = one.interface ? `${one.interface}#${each.name}` : each.name;
    return h('a', {class: 'badge', href: this.ctx.link({view: 'table', q: set})},
      times === 1 ? '1 call' : `${count(times)} calls`);
  }

  /** A function, whether it can be reached, how often it was, and the way. */
  item(one, each, called) {
    const times = called?.get(waysKey(one.interface, one.version, each.name));
    const said = each.reachable ? null : h('span', {class: 'badge good'}, 'cannot be reached');
    const givers = each.providers.filter(([kind]) => kind !== 'host').map(([kind, place, name]) =>
      (kind === 'outside' ? 'code that is not in here'
        : `${partTitle(this.component, place) || 'the component'}${name ? ` ${shown(name)}` : ''}`));
    const row = h('li', {}, h('span', {class: 'mono name'}, shown(each.name)), ' ', said,
      called ? this.seen(one, each, times) : null,
      givers.length ? h('span', {class: 'muted'}, ` from ${givers.join(', ')}`) : null);
    if (each.why) {
      const way = h('details', {class: 'why'}, h('summary', {}, 'can be reached: by which way?'));
      way.addEventListener('toggle', () => {
        if (way.open && way.childNodes.length === 1) way.append(wayList(this.component, each.why, this.link));
      });
      row.append(way);
    }
    return row;
  }
}
