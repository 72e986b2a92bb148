/** A component: what is in it by size, what it may do, its WIT, who gives what to whom, what made it. */
import {bytes, count, h, percent, shown} from '../dom.js';
import {modelUnpack} from '../model.js';
import {colourOf, textOn} from '../colours.js';
import {COMPONENT_KINDS, ComponentRows} from './component_tree.js';
import {componentFound, componentMatcher, componentTree} from './component_nodes.js';
import {ComponentWays, importTitle, wayList} from './component_ways.js';
import {ComponentWit} from './component_wit.js';
import {ComponentEdges, ComponentMade} from './component_made.js';
import {Treemap, treemapSays} from './treemap.js';

const COMPONENT_TABS = [
  ['contents', 'Contents'], ['ways', 'Capabilities'], ['edges', 'Connections'], ['wit', 'WIT'],
  ['made', 'Made of'],
];
/** What a rectangle holds, which is also what it has its colour by. */
const COMPONENT_ABOUT = {
  code: 'code', data: 'data', tools: 'names, debug information', types: 'types, imports, tables',
};

/** So many imports or exports of a core module are shown. */
const COMPONENT_ENDS = 2000;

class ComponentView {
  constructor(ctx) {
    this.ctx = ctx;
    this.component = ctx.model.component;
    this.insides = new Map();
    this.tree = componentTree(this.component, this.insides);
    this.rows = new ComponentRows({pick: (node) => this.pick(node)});
    this.map = new Treemap({
      fill: (node) => [colourOf(node.about), textOn()],
      pick: (node) => this.pick(node), zoom: (node, at) => this.zoom(node, at),
      hover: (node) => this.hover(node), dim: (node) => this.found !== null && !this.lit.has(node),
    });
    this.find = h('input', {type: 'search', placeholder: 'Find a part, function or import, or /regex/',
      'aria-label': 'Find in the component',
      on: {input: () => ctx.set({'component.find': this.find.value || null})}});
    this.only = h('input', {type: 'checkbox', on: {change: () => {
      ctx.set({'component.reachable': this.only.checked ? '1' : null});
    }}});
    this.onlyLabel = h('label', {class: 'check'}, this.only, ' only what can be reached');
    this.status = h('p', {class: 'status', role: 'status'});
    this.crumbs = h('nav', {class: 'crumbs', 'aria-label': 'Shown part'});
    this.details = h('section', {class: 'about', 'aria-label': 'About what is chosen'});
    const link = (module, index) => this.link(module, index);
    this.panes = {
      contents: {element: this.contents(), show: (state) => this.showContents(state)},
      ways: this.waysPane(new ComponentWays(ctx, link)),
      edges: new ComponentEdges(ctx),
      wit: new ComponentWit(ctx),
      made: new ComponentMade(ctx),
    };
    this.tabs = h('nav', {class: 'inner-tabs', 'aria-label': 'Of the component'}, COMPONENT_TABS.filter(([id]) =>
      id !== 'edges' || this.component.capabilities.length > 1).map(([id, title]) =>
      h('button', {'data-tab': id, on: {click: () => ctx.set({'component.tab': id}, {push: true})}}, title)));
    this.body = h('div', {class: 'pane'});
    this.element = h('div', {}, this.head(),
      h('div', {class: 'tools'}, this.tabs, this.find, this.onlyLabel, this.status), this.body);
    this.found = null;
    this.lit = new Set();
    this.read();
  }

  /** The functions are compressed: they come a moment later. */
  async read() {
    const {parts} = this.component;
    await Promise.all(parts.map(async (part, at) => {
      if (part.inside) this.insides.set(at, await modelUnpack(part.inside));
    }));
    this.tree = componentTree(this.component, this.insides);
    this.searched = undefined;
    this.element.dataset.read = 'true';
    this.show(this.ctx.state);
  }

  head() {
    const {component} = this;
    const modules = component.parts.filter((part) => part.kind === 'module');
    const functions = modules.reduce((sum, part) => sum + (part.counts?.[2] ?? 0), 0);
    const inner = component.parts.length - modules.length - (component.alone ? 0 : 1);
    const asked = (component.capabilities[0]?.imports ?? []).flatMap((one) => one.functions)
      .filter((one) => one.kind === 'func');
    const reached = asked.filter((one) => one.reachable).length;
    const facts = [
      ['size', bytes(component.size), `${count(component.size)} bytes`],
      component.alone ? null : ['core modules', count(modules.length)],
      inner ? ['components inside', count(inner)] : null,
      ['functions', count(functions)],
      ['may call', component.unreached ? `${count(asked.length)} functions, it is not known which it can`
        : `${count(reached)} of ${count(asked.length)} imported functions`],
      ['sha256', component.sha256.slice(0, 12), component.sha256],
    ].filter(Boolean);
    return h('div', {class: 'head'},
      h('h2', {}, shown(component.file), ' ',
        h('span', {class: 'badge'}, component.alone ? 'core module' : 'component'),
        component.stamp ? h('span', {class: 'badge warn', title: shown(JSON.stringify(component.stamp))},
          'instrumented by whamm-cm') : null),
      h('dl', {class: 'facts'}, facts.map(([name, value, title]) =>
        h('div', {title: title ?? null}, h('dt', {}, name), h('dd', {}, value)))),
      component.faults.map((fault) => h('p', {class: 'bad'}, shown(fault))));
  }

  contents() {
    this.legend = h('ul', {class: 'legend', 'aria-label': 'Colours'});
    this.hovered = h('p', {class: 'hovered muted'});
    return h('div', {class: 'contents'},
      h('div', {class: 'left'}, this.rows.element),
      h('div', {class: 'right'}, h('div', {class: 'above'}, this.crumbs, this.legend), this.map.canvas, this.hovered,
        this.details));
  }

  waysPane(ways) {
    return {element: ways.element, show: (state) => {
      ways.show(componentMatcher(state['component.find']), state['component.reachable'] === '1');
    }};
  }

  /** To a function in the contents, as it stands in a way. */
  link(module, index) {
    const part = this.component.parts.find((each) => each.path === module);
    if (!part) return null;
    return this.ctx.link({view: 'component', 'component.tab': 'contents', 'component.find': '',
      'component.at': this.functionId(part, index), 'component.zoom': ''});
  }

  functionId(part, index) {
    return `${part.path || 'root'}/code/f${index}`;
  }

  pick(node) {
    const zoom = this.tree.byId.get(this.ctx.state['component.zoom']);
    const changes = {'component.at': node === this.tree.root ? null : node.id};
    if (zoom && !zoom.holds(node)) changes['component.zoom'] = null;
    this.ctx.set(changes);
    this.show(this.ctx.state); // also where only what is open has changed
  }

  zoom(node, at) {
    this.ctx.set({'component.zoom': node === this.tree.root ? null : node.id, 'component.at': at.id}, {push: true});
  }

  hover(node) {
    this.hovered.textContent = node ? `${node.path().slice(1).map((each) => shown(each.name)).join(' › ')
      || shown(node.name)} — ${treemapSays(node, this.tree.root)}` : ' ';
  }

  show(state) {
    const tab = state['component.tab'] in this.panes ? state['component.tab'] : 'contents';
    const pane = this.panes[tab];
    for (const button of this.tabs.children) button.setAttribute('aria-pressed', String(button.dataset.tab === tab));
    this.find.hidden = tab !== 'contents' && tab !== 'ways';
    this.onlyLabel.hidden = tab !== 'ways';
    this.only.checked = state['component.reachable'] === '1';
    if (document.activeElement !== this.find) this.find.value = state['component.find'] ?? '';
    if (this.body.firstChild !== pane.element) this.body.replaceChildren(pane.element);
    this.status.textContent = '';
    pane.show(state);
  }

  showContents(state) {
    const {tree} = this;
    const chosen = tree.byId.get(state['component.at']) ?? tree.root;
    const zoomed = tree.byId.get(state['component.zoom']) ?? tree.root;
    this.search(state['component.find'] ?? '');
    if (this.found) {
      const size = this.found.reduce((sum, each) => sum + each.size, 0);
      this.status.textContent = `${count(this.found.length)} found, ${bytes(size)}, ${percent(size, tree.root.size)}`;
      this.rows.list(tree, this.found, chosen);
    } else {
      this.rows.show(tree, chosen);
    }
    this.map.show(zoomed, chosen);
    this.crumbs.replaceChildren(...zoomed.path().map((node) => h('button', {
      class: 'plain', 'aria-current': node === zoomed ? 'true' : null, on: {click: () => this.zoom(node, node)},
    }, shown(node.name))));
    this.details.replaceChildren(...this.about(chosen));
    this.legend.replaceChildren(...Object.entries(COMPONENT_ABOUT).map(([about, words]) =>
      h('li', {}, h('span', {class: 'swatch', 'aria-hidden': 'true', style: {background: colourOf(about)}}), words)));
  }

  search(text) {
    if (text === this.searched) return;
    this.searched = text;
    const matches = componentMatcher(text);
    this.found = matches ? componentFound(this.tree, matches) : null;
    this.lit = new Set();
    const stack = [...this.found ?? []];
    for (const node of this.found ?? []) for (let at = node; at; at = at.parent) this.lit.add(at);
    while (stack.length) {
      const node = stack.pop();
      this.lit.add(node);
      stack.push(...node.children);
    }
  }

  /** What there is to say about a node. */
  about(node) {
    const part = this.component.parts[node.part];
    const rows = [
      ['size', `${bytes(node.size)} (${count(node.size)} bytes), ${percent(node.size, this.tree.root.size)} of all`],
      node.parent ? ['in', node.path().slice(0, -1).map((each) => shown(each.name)).join(' › ')] : null,
    ];
    if (node.kind === 'component' || node.kind === 'module') rows.push(...this.aboutPart(part));
    if (node.kind === 'function') rows.push(['index', `function ${node.index} of ${shown(part.path || 'the module')}`]);
    const zoom = node.children.length ? h('button', {on: {click: () => this.zoom(node, node)}}, 'Show in the map alone')
      : null;
    const inside = node.kind === 'module' ? this.insides.get(node.part) : null;
    return [
      h('h3', {}, shown(node.name), ' ', h('span', {class: 'muted'}, COMPONENT_KINDS[node.kind])),
      h('dl', {}, rows.filter(Boolean).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
      zoom,
      componentEnds('imports', (inside?.imports ?? []).map(([from, name, kind]) => [`${from} ${name}`, kind])),
      componentEnds('exports', inside?.exports ?? []),
      this.passing(node, part),
    ].filter(Boolean);
  }

  aboutPart(part) {
    const [imports, exports, functions] = part.counts ?? [];
    return [
      part.path && !this.component.alone ? ['path', h('code', {}, part.path)] : null,
      part.path && !this.component.alone ? ['at byte', count(part.offset)] : null,
      part.counts ? ['it has',
        `${count(imports)} imports, ${count(exports)} exports, ${count(functions)} functions`] : null,
      part.instances === undefined || part.instances === null ? null
        : ['instances', part.instances ? count(part.instances) : 'none, nothing instantiates it'],
      part.producers.length ? ['made by', [...new Set(part.producers.map(([, name, version]) =>
        shown(`${name} ${version}`.trim())))].join(', ')] : null,
      ['sha256', h('code', {class: 'hash'}, part.sha256)],
      part.fault ? ['fault', h('span', {class: 'bad'}, shown(part.fault))] : null,
    ];
  }

  /** The imports that are reached through a function. */
  passing(node, part) {
    if (node.kind !== 'function') return null;
    const {frames, capabilities} = this.component;
    const own = new Set(frames.flatMap((frame, at) => (frame[0] === 'core' && frame[4] === part.path
      && frame[5] === node.index ? [at] : [])));
    if (!own.size) return null;
    const found = capabilities.flatMap((one) => one.imports.flatMap((each) => each.functions
      .filter((f) => f.why?.some((at) => own.has(at))).map((f) => [importTitle(each), f])));
    return h('div', {}, h('h3', {}, `On a shortest way to ${count(found.length)} imported functions`),
      h('ul', {class: 'functions'}, found.slice(0, 50).map(([title, f]) => h('li', {}, h('details', {},
        h('summary', {class: 'mono'}, shown(`${title}#${f.name}`)),
        wayList(this.component, f.why, (module, index) => this.link(module, index)))))));
  }

  resized() {
    this.map.draw(true);
  }
}

/** What a core module imports or exports, when somebody looks. */
function componentEnds(what, rows) {
  if (!rows.length) return null;
  const box = h('details', {class: 'ends'}, h('summary', {}, `${count(rows.length)} ${what}`));
  box.addEventListener('toggle', () => {
    if (!box.open || box.childNodes.length > 1) return;
    box.append(h('ul', {class: 'functions'}, rows.slice(0, COMPONENT_ENDS).map(([name, kind]) =>
      h('li', {}, h('span', {class: 'mono'}, shown(name)), h('span', {class: 'muted'}, ` ${kind}`)))));
    const left = rows.length - COMPONENT_ENDS;
    if (left > 0) box.append(h('p', {class: 'muted'}, `and ${count(left)} more`));
  });
  return box;
}

export const componentView = {
  id: 'component', title: 'Component', order: 80,
  has: (model) => Boolean(model.component),
  keys: [
    ['↑ ↓ ← →', 'in tree and treemap: another part'],
    ['Enter, Backspace', 'in the treemap: into it, out of it'],
  ],
  create: (ctx) => new ComponentView(ctx),
};
