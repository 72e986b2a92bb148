/** Who talks to whom: callers, components, interfaces and peers, with what the filter chooses on the edges. */
import {bytes, count, h, ns, shown, shownCut} from '../dom.js';
import {colourOf, strongColourOf, textOn} from '../colours.js';
import {Plane} from './plane.js';
import {Traffic} from './traffic.js';
import {topologyPanel, topologyTable} from './topology_texts.js';

const TOPOLOGY_THIN = 1.2;
const TOPOLOGY_THICK = 8;
/** Pixels of a letter of a name, and of a caption, as `render/topology.py` measures them. */
const TOPOLOGY_NAME = 7.23;
const TOPOLOGY_CAPTION = 6.33;
const TOPOLOGY_HEIGHTS = {component: 52};
const TOPOLOGY_ROUND = {component: 6, peer: 2};
const TOPOLOGY_METRICS = {
  calls: {title: 'Calls', text: count},
  errors: {title: 'Errors', text: count},
  time: {title: 'Time', text: ns},
  bytes: {title: 'Bytes', text: bytes},
};
const TOPOLOGY_KINDS = {
  caller: 'callers from outside',
  component: 'component',
  interface: 'interface of a component',
  host: 'interface of the host',
  peer: 'peer',
};

/** `12 calls ✗1 4.10ms`. */
function topologyFigures(traffic, timed) {
  const parts = [`${count(traffic.calls)} call${traffic.calls === 1 ? '' : 's'}`];
  if (traffic.errors) parts.push(`✗${count(traffic.errors)}`);
  if (traffic.open) parts.push(`${count(traffic.open)} open`);
  if (timed && traffic.time) parts.push(ns(traffic.time).replace(' ', ''));
  return parts.join(' ');
}

/** `0, 1, …` by the logarithm of a share of the most. */
function topologyShare(value, most) {
  return value <= 0 || most <= 1 ? 0 : Math.log(1 + value) / Math.log(1 + most);
}

class TopologyView {
  constructor(ctx) {
    this.ctx = ctx;
    this.model = ctx.model.topology;
    this.timed = Boolean(ctx.model.run?.timed);
    this.traffic = new Traffic(ctx);
    this.hovered = null;
    this.tip = h('div', {class: 'tip', 'aria-hidden': 'true', hidden: true});
    this.world = h('g');
    const label = 'Who talks to whom; the table below says the same';
    this.stage = h('svg', {class: 'stage', role: 'group', 'aria-label': label}, this.world);
    this.edges = this.model.edges.map((edge, at) => this.makeEdge(edge, at));
    this.nodes = this.model.nodes.map((node, at) => this.makeNode(node, at));
    // Ports stand above the components that they are in.
    const ports = this.nodes.filter((_, at) => this.model.nodes[at].of !== undefined);
    this.world.append(...[...this.edges, ...this.nodes, ...ports].map((each) => each.element));
    this.panel = h('aside', {class: 'panel', 'aria-label': 'What is chosen'});
    this.table = h('div', {class: 'all'});
    this.element = h('div', {},
      this.toolbar(),
      h('div', {class: 'middle'}, h('div', {class: 'frame'}, this.stage, this.tip), this.panel),
      this.table);
    this.element.style.setProperty('--content', `${Math.round(this.model.height) + 80}px`);
    this.plane = new Plane(this.stage, this.world, this.model.width, this.model.height);
    this.stage.addEventListener('click', () => this.choose(null));
    this.stage.addEventListener('pointerleave', () => this.hover(null));
    this.element.addEventListener('keydown', (event) => this.key(event));
  }

  toolbar() {
    const button = (title, label, f) => h('button', {title, 'aria-label': title, on: {click: f}}, label);
    const by = (id) => () => this.ctx.set({'topology.by': id === 'calls' ? null : id});
    this.metrics = Object.entries(TOPOLOGY_METRICS).map(([id, {title}]) =>
      h('button', {'data-metric': id, on: {click: by(id)}}, title));
    const what = {class: 'group', role: 'group', 'aria-label': 'What edges are as thick as'};
    this.hint = h('span', {class: 'muted hint'}, 'Drag to move, pinch or Ctrl+wheel to zoom');
    return h('div', {class: 'tools', role: 'toolbar', 'aria-label': 'Topology'},
      this.ctx.calls ? h('span', what, this.metrics) : null,
      h('span', {class: 'group'},
        button('Smaller (-)', '−', () => this.plane.zoom(1 / 1.3)),
        button('Larger (+)', '+', () => this.plane.zoom(1.3)),
        button('All of it (0)', 'Fit', () => this.plane.fit(0))),
      this.hint);
  }

  makeEdge(edge, at) {
    const line = h('path', {d: edge.way, class: 'way'});
    const head = h('path', {d: edge.arrow, class: 'head'});
    const wide = h('path', {d: edge.way, class: 'wide', on: {
      click: (event) => this.chosenBy(event, `e${at}`),
      pointerenter: (event) => this.hover(`e${at}`, event),
      pointermove: (event) => this.moveTip(event),
      pointerleave: () => this.hover(null),
    }});
    return {element: h('g', {class: 'edge'}, line, head, wide), line, head};
  }

  makeNode(node, at) {
    const high = node.of === undefined ? TOPOLOGY_HEIGHTS[node.kind] ?? 40 : node.h;
    const fits = (text, letter) => shownCut(text, Math.floor((node.w - 14) / letter));
    const text = (y, content, kind) => h('text', {x: node.x + node.w / 2, y: node.y + y, class: kind}, content);
    const round = TOPOLOGY_ROUND[node.kind] ?? high / 2;
    const box = h('rect', {x: node.x, y: node.y, width: node.w, height: node.h, rx: round});
    const caption = text(high / 2 + 12, '', 'caption');
    const modules = (node.modules ?? []).slice(0, 4).map(([name, size], row) =>
      text(high + 2 + 15 * row, fits(`${name} ${bytes(size)}`, TOPOLOGY_CAPTION), 'module'));
    const more = (node.modules ?? []).slice(4);
    const size = more.reduce((sum, [, each]) => sum + each, 0);
    if (more.length) modules.push(text(high + 62, `${more.length} more, ${bytes(size)}`, 'module'));
    const element = h('g', {class: `node ${node.kind}`, tabindex: '0', role: 'button', on: {
      click: (event) => this.chosenBy(event, `n${at}`),
      keydown: (event) => {
        if (event.key === 'Enter' || event.key === ' ') this.chosenBy(event, `n${at}`);
      },
      focus: () => this.focused(at),
      blur: () => this.hover(null),
      pointerenter: (event) => this.hover(`n${at}`, event),
      pointermove: (event) => this.moveTip(event),
      pointerleave: () => this.hover(null),
    }}, box, text(high / 2 - 2, fits(node.name, TOPOLOGY_NAME), 'name'), caption, modules);
    return {element, box, caption, fits};
  }

  chosenBy(event, id) {
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.chosen === id ? null : id);
  }

  choose(id) {
    this.ctx.set({'topology.at': id});
  }

  focused(at) {
    const node = this.model.nodes[at];
    if (this.nodes[at].element.matches(':focus-visible')) this.plane.reveal(node.x, node.y, node.w, node.h);
    this.hover(`n${at}`);
  }

  /** The topology as the filter leaves it. */
  show(state) {
    const at = /^([ne])(\d+)$/.exec(state['topology.at'] ?? '');
    const known = at && (at[1] === 'n' ? this.nodes : this.edges)[Number(at[2])];
    this.chosen = known ? at[0] : null;
    const by = Object.hasOwn(TOPOLOGY_METRICS, state['topology.by'] ?? '') ? state['topology.by'] : 'calls';
    this.metric = this.ctx.calls ? by : 'functions';
    this.now = this.traffic.now();
    for (const button of this.metrics) {
      button.setAttribute('aria-pressed', String(button.dataset.metric === this.metric));
    }
    const most = Math.max(1, ...this.now.edges.map((each) => each[this.metric] ?? 0));
    for (const [at, edge] of this.edges.entries()) this.showEdge(edge, this.now.edges[at], most);
    for (const [at, node] of this.nodes.entries()) this.showNode(node, at);
    this.light();
    this.panel.replaceChildren(...topologyPanel(this, this.chosen).filter(Boolean));
    this.table.replaceChildren(topologyTable(this));
    if (!this.fitted) requestAnimationFrame(() => this.resized());
  }

  showEdge({element, line}, traffic, most) {
    const share = topologyShare(traffic[this.metric] ?? 0, most);
    line.style.setProperty('stroke-width', `${TOPOLOGY_THIN + (TOPOLOGY_THICK - TOPOLOGY_THIN) * share}`);
    element.classList.toggle('failed', traffic.errors > 0);
    element.classList.toggle('unused', traffic.calls === 0 && this.metric !== 'functions');
  }

  showNode({element, box, caption, fits}, at) {
    const node = this.model.nodes[at];
    const own = node.kind === 'caller' || node.kind === 'component';
    box.style.setProperty('fill', own ? 'var(--panel)' : colourOf(node.name));
    box.style.setProperty('stroke', own ? 'var(--strong)' : strongColourOf(node.name));
    element.style.setProperty('--on', own ? 'var(--fg)' : textOn());
    const text = this.captionOf(at);
    caption.textContent = fits(text, TOPOLOGY_CAPTION);
    const version = node.version ? `@${node.version}` : '';
    const label = `${TOPOLOGY_KINDS[node.kind]} ${shown(node.name + version)}: ${text}`;
    element.setAttribute('aria-label', label);
    element.setAttribute('aria-pressed', String(this.chosen === `n${at}`));
  }

  captionOf(at) {
    const node = this.model.nodes[at];
    if (!this.ctx.calls) return node.caption;
    const {into, out} = this.traffic.around(at, this.now);
    if (node.kind === 'component') {
      const parts = node.instances > 1 ? [`×${count(node.instances)}`] : [];
      if (this.timed && into.self) parts.push(`${ns(into.self).replace(' ', '')} itself`);
      const modules = node.modules?.length ?? 0;
      return parts.join(' ') || (modules ? `${count(modules)} module${modules === 1 ? '' : 's'}` : 'component');
    }
    const traffic = node.kind === 'caller' || (node.kind === 'interface' && !into.calls) ? out : into;
    return traffic.calls || !this.now.whole ? topologyFigures(traffic, this.timed) : node.caption;
  }

  /** What is pointed at, or else chosen, and what it touches; all else is dim. */
  light() {
    const id = this.hovered ?? this.chosen;
    const nodes = new Set();
    const edges = new Set();
    const index = id === null ? -1 : Number(id.slice(1));
    const own = (each) => each === index || this.model.nodes[each].of === index;
    for (const [at, edge] of this.model.edges.entries()) {
      const lit = id?.startsWith('e') ? at === index : own(edge.from) || own(edge.to);
      if (!lit) continue;
      edges.add(at);
      nodes.add(edge.from).add(edge.to);
    }
    if (id?.startsWith('n')) nodes.add(index);
    for (const each of [...nodes]) nodes.add(this.model.nodes[each].of ?? each);
    const dims = id !== null && (nodes.size > 0 || edges.size > 0);
    for (const [at, {element}] of this.nodes.entries()) {
      element.classList.toggle('dimmed', dims && !nodes.has(at));
      element.classList.toggle('chosen', this.chosen === `n${at}`);
    }
    for (const [at, {element}] of this.edges.entries()) {
      element.classList.toggle('dimmed', dims && !edges.has(at));
      element.classList.toggle('chosen', this.chosen === `e${at}`);
    }
  }

  hover(id, event = null) {
    this.hovered = id;
    this.light();
    const text = id === null || event === null ? '' : this.tipOf(id);
    this.tip.hidden = !text;
    if (!text) return;
    this.tip.textContent = text;
    this.moveTip(event);
  }

  tipOf(id) {
    const at = Number(id.slice(1));
    if (id.startsWith('n')) return this.nodes[at].element.getAttribute('aria-label');
    const edge = this.model.edges[at];
    const names = [edge.from, edge.to].map((each) => shownCut(this.model.nodes[each].name, 60));
    const traffic = this.now.edges[at];
    const moved = traffic.bytes ? `, ${bytes(traffic.bytes)}` : '';
    if (!this.ctx.calls) return `${names.join(' → ')}\n${count(traffic.functions)} functions`;
    return `${names.join(' → ')}\n${topologyFigures(traffic, this.timed)}${moved}`;
  }

  moveTip(event) {
    const frame = this.stage.getBoundingClientRect();
    const wide = this.tip.offsetWidth;
    const x = Math.min(event.clientX - frame.x + 12, frame.width - wide - 4);
    const below = event.clientY - frame.y + 16;
    const y = below + this.tip.offsetHeight > frame.height ? below - this.tip.offsetHeight - 28 : below;
    this.tip.style.setProperty('transform', `translate(${Math.max(4, x)}px, ${Math.max(4, y)}px)`);
  }

  key(event) {
    if (event.target.matches?.('input, select')) return;
    const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    const on = this.nodes.findIndex(({element}) => element === event.target);
    if (step && on >= 0) this.stepFrom(on, step);
    else if (event.key === '+' || event.key === '=') this.plane.zoom(1.3);
    else if (event.key === '-') this.plane.zoom(1 / 1.3);
    else if (event.key === '0') this.plane.fit(0);
    else if (event.key === 'Escape' && this.chosen) this.choose(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Focus goes to the nearest node in a direction. */
  stepFrom(on, [dx, dy]) {
    const middle = (node) => [node.x + node.w / 2, node.y + node.h / 2];
    const [x, y] = middle(this.model.nodes[on]);
    let best = -1;
    let least = Infinity;
    for (const [at, node] of this.model.nodes.entries()) {
      const [toX, toY] = middle(node);
      const [far, aside] = dx ? [(toX - x) * dx, Math.abs(toY - y)] : [(toY - y) * dy, Math.abs(toX - x)];
      if (at === on || far <= 1 || far + 2 * aside >= least) continue;
      least = far + 2 * aside;
      best = at;
    }
    if (best >= 0) this.nodes[best].element.focus();
  }

  resized() {
    if (!this.stage.clientWidth) return;
    if (!this.fitted || !this.plane.moved) this.plane.fit();
    this.fitted = true;
  }
}

export const topologyView = {
  id: 'topology',
  title: 'Topology',
  order: 50,
  keys: [
    ['← → ↑ ↓', 'topology: the next box that way'],
    ['+ − 0', 'topology: larger, smaller, all of it'],
  ],
  has: (model) => Boolean(model.topology),
  create: (ctx) => new TopologyView(ctx),
};
