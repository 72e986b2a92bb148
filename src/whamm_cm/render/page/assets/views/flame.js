/** The flame graph: where it went, by who called whom; and any function with all its callers and callees. */
import {RectsCanvas} from '../rects.js';
import {rectsKeys} from '../rects_input.js';
import {bytes, count, h, ns, percent, shown} from '../dom.js';
import {colourOf, textOn} from '../colours.js';
import {
  FLAME_MEASURES, flameAround, flameBrief, flameOfCalls, flameOfReport, flameRects, flameSearch,
} from './flame_tree.js';
import {siteTitle} from '../model.js';
import {setOf} from './details.js';
import {FlamePanel, FlameTable, flameTip} from './flame_panel.js';

const FLAME_ROW = 20;
const FLAME_KEYS = [
  ...rectsKeys, ['C', 'callers and callees of the focused frame'],
  ['N, P', 'next, previous frame that was found'],
];

/** A canvas of one tree, and what the tree is. */
class FlameGraph {
  constructor(label, {text, choose, key, moved}) {
    this.tree = null;
    this.text = text;
    this.fills = [];
    this.rects = new RectsCanvas({
      label,
      text: (id) => `${shown(this.tree.title(id))}  ${percent(this.tree.total[id], this.tree.total[0])}`,
      short: (id) => shown(flameBrief(this.tree.title(id))),
      tell: (id) => this._tell(id),
      tip: (id) => flameTip(this.tree, id, this.text),
      tipMany: (many) => `${count(many.count)} frames, the heaviest: ${shown(this.tree.title(many.longest))}`,
      palette: () => this._palette(),
      onChoose: choose,
      onOpen: (id) => this.zoomTo(id),
      onKey: key,
      onMoved: moved,
      decorate: (g, id, x, y, w, high) => this._mark(g, id, x, y, w, high),
    });
    this.element = this.rects.element;
  }

  _tell(id) {
    const {tree} = this;
    const share = percent(tree.total[id], tree.total[0]);
    return `${shown(tree.title(id))}: ${this.text(tree.total[id])}, ${share}; level ${tree.path(id).length}`;
  }

  /** A frame as wide as the graph. */
  zoomTo(id) {
    const {x0, x1} = this.rects.data;
    this.rects.setView(x0[id], x1[id], true);
  }

  /** One colour for each package; the first is that of "all". */
  _palette() {
    const ink = textOn();
    return [{fill: this.rects ? this.rects.css('--line') : '#888888', ink}, ...this.fills.map((name) =>
      ({fill: colourOf(name), ink}))];
  }

  /** What was inlined has a dotted foot. */
  _mark(g, id, x, y, w, high) {
    if (!this.tree.inlined[id]) return;
    g.save();
    g.strokeStyle = this.rects.css('--fg');
    g.setLineDash([2, 2]);
    g.beginPath();
    g.moveTo(x + 1, y + high - 1.5);
    g.lineTo(x + w - 1, y + high - 1.5);
    g.stroke();
    g.restore();
  }

  setTree(tree, {up = false, skip = 0} = {}) {
    this.tree = tree;
    const numbers = new Map();
    this.fills = [];
    this.colours = tree.names.map((name) => {
      const fill = colourOf(name);
      if (!numbers.has(fill)) numbers.set(fill, this.fills.push(name));
      return numbers.get(fill);
    });
    this.how = {up, skip, rowHeight: FLAME_ROW, colour: (name) => this.colours[name]};
    this.rects.recolour();
    this._lay(false);
  }

  /** What grows upwards stands on the floor. */
  _lay(keep) {
    const {rects, how} = this;
    this.room = rects.element.clientHeight;
    rects.setData(flameRects(this.tree, {...how, room: this.room}), keep);
    if (how.up && !keep) rects.scroller.scrollTop = rects.scroller.scrollHeight;
  }

  resized() {
    if (this.tree && this.how.up && this.rects.element.clientHeight !== this.room) this._lay(true);
    this.rects.resized();
  }

  /** Pale is what `find` does not choose; all that it does, by id, from left to right and above to below. */
  match(find) {
    const {tree} = this;
    const mask = find && Uint8Array.from(tree.parent, (_, id) => (id > 0 && find(tree.title(id)) ? 1 : 0));
    this.rects.setMatches(mask);
    const found = [];
    const pending = mask ? [0] : [];
    while (pending.length) {
      const id = pending.pop();
      if (mask[id]) found.push(id);
      const inner = tree.calleesOf(id);
      for (let at = inner.length - 1; at >= 0; at -= 1) pending.push(inner[at]);
    }
    return found;
  }
}

class FlameView {
  constructor(ctx) {
    this.ctx = ctx;
    this.reports = ctx.model.trees ?? [];
    /** Titles from the outermost frame to the chosen one, which stay while trees grow; null: none is. */
    this.chosen = null;
    this.found = [];
    this.text = (weight) => this._weight(weight);
    this.graph = new FlameGraph('Flame graph', {
      text: this.text, choose: (id) => this._choose(id), key: (event) => this._key(event),
      moved: (view) => this._moved(view),
    });
    const side = (label) => {
      const graph = new FlameGraph(label, {text: this.text,
        choose: (id) => this._chooseBeside(graph, id), key: (event) => this._keyBeside(graph, event)});
      return graph;
    };
    this.callers = side('Callers of the chosen function');
    this.callees = side('What the chosen function called');
    this.table = new FlameTable({choose: (name) => this._around(this.tree.names[name]),
      sort: (key) => ctx.set({'flame.sort': key === 'own' ? null : key})});
    this.panel = new FlamePanel({zoom: (id) => this.graph.zoomTo(id), choose: (id) => this._focus(id),
      around: (id) => this._around(this.tree.title(id)), table: (id) => this._inTable(id),
      counts: () => this.measure.startsWith('tree')});
    this._build();
  }

  _build() {
    this.about = h('p', {class: 'facts muted', id: 'flame-facts'});
    this.title = h('h2', {class: 'mono'});
    this.graph.rects.canvas.setAttribute('aria-describedby', 'flame-facts');
    this.whole = h('div', {class: 'whole'}, this.graph.element, this.panel.element);
    this.sides = h('div', {class: 'sides'}, this.title,
      h('h3', {}, 'Called by'), this.callers.element, h('h3', {}, 'Called'), this.callees.element);
    this.hint = h('p', {class: 'empty'}, 'Choose a function to see who called it and what it called.');
    this.sandwich = h('div', {class: 'sandwich'}, this.table.element, this.hint, this.sides);
    this.empty = h('p', {class: 'empty'});
    this.element = h('section', {'aria-label': 'Flame graph'},
      this._tools(), this.empty, this.whole, this.sandwich);
  }

  _tools() {
    const {ctx} = this;
    const button = (text, title, click) => h('button', {title, on: {click}}, text);
    this.modes = [['graph', 'Graph'], ['sandwich', 'Functions']].map(([key, text]) =>
      button(text, key === 'graph' ? 'Who called whom' : 'Each function, with its callers and callees',
        () => ctx.set({'flame.mode': key === 'graph' ? null : key}, {push: true})));
    this.by = h('select', {'aria-label': 'Weigh by', on: {change: () => ctx.set({'flame.by': this.by.value,
      'flame.at': null})}});
    this.up = button('Upwards', 'Callers below what they call', () =>
      ctx.set({'flame.up': ctx.state['flame.up'] ? null : '1'}));
    this.apart = button('Inlined', 'Frames for what compilers put in place of calls (dotted)', () =>
      ctx.set({'flame.whole': ctx.state['flame.whole'] ? null : '1', 'flame.at': null}));
    this.search = h('input', {type: 'search', placeholder: 'Search, or /regex/',
      'aria-label': 'Search functions', spellcheck: 'false', on: {input: () => ctx.set({'flame.s': this.search.value}),
        keydown: (event) => this._searchKey(event)}});
    this.hits = h('span', {class: 'muted hits', 'aria-live': 'polite'});
    const {rects} = this.graph;
    this.zooms = h('span', {class: 'set'},
      button('−', 'Zoom out', () => rects.zoomBy(1 / 2, undefined, true)),
      button('+', 'Zoom in', () => rects.zoomBy(2, undefined, true)),
      button('All', 'Show all (0)', () => rects.reset()));
    return h('div', {class: 'tools', role: 'group', 'aria-label': 'What is shown'},
      h('span', {class: 'set'}, this.modes), h('label', {}, 'by ', this.by), this.up, this.apart,
      h('span', {class: 'set'}, this.search, this.hits), this.zooms, this.about);
  }

  /** `[key, title, about]` of what there can be a tree of. */
  _measures() {
    const {calls, model} = this.ctx;
    const run = model.run;
    const reported = this.reports.map((tree, at) => [`tree${at || ''}`,
      shown([tree.name, tree.unit].filter(Boolean).join(' ')), 'As a script has counted']);
    if (!calls || (!calls.n && !run.calls)) return reported;
    const any = {bytes: calls.bytes.some(Boolean), errors: calls.flags.some((flags) => flags & 1)};
    const can = ([key, , , timed]) => (!timed || run.timed) && any[key] !== false;
    return [...reported, ...FLAME_MEASURES.filter(can)];
  }

  _weight(weight) {
    if (this.measure === 'time' || this.measure === 'wall') return ns(weight);
    return this.measure === 'bytes' ? bytes(weight) : count(weight);
  }

  show(state) {
    const theme = document.documentElement.dataset.theme;
    const themed = theme !== this.theme;
    this.theme = theme;
    const fresh = this._grow(state);
    const sandwich = state['flame.mode'] === 'sandwich';
    this._controls(state, sandwich);
    const {tree} = this;
    const nothing = !tree || tree.total[0] <= 0;
    this.empty.hidden = !nothing;
    this.whole.hidden = nothing || sandwich;
    this.sandwich.hidden = nothing || !sandwich;
    if (nothing) {
      this.empty.textContent = this._nothing();
      return;
    }
    if (sandwich) this._showAround(state, fresh || themed);
    else this._showGraph(state, fresh || themed);
  }

  _nothing() {
    if (this.ctx.progress < 1) return 'The calls are being read.';
    return this.mask ? 'The filter chooses no calls that weigh anything here.' : 'Nothing was counted.';
  }

  /** Makes the tree anew where what it is made of has changed; whether it did. */
  _grow(state) {
    const measures = this._measures();
    const keys = measures.map(([each]) => each);
    const key = keys.includes(state['flame.by']) ? state['flame.by'] : keys[0] ?? '';
    const mask = key.startsWith('tree') ? null : this.ctx.selection();
    const {calls} = this.ctx;
    const version = key.startsWith('tree') || !calls ? 0 : calls.version;
    const apart = !state['flame.whole'];
    const same = this.tree && key === this.measure && mask === this.mask && apart === this.isApart;
    const soon = this.ctx.progress < 1 && calls.n < this.grown * 1.7;
    if (same && (version === this.version || soon)) return false;
    Object.assign(this, {measure: key, mask, version, isApart: apart, grown: calls ? calls.n : 0});
    this._options(measures, key);
    if (!key) this.tree = null;
    else if (key.startsWith('tree')) this.tree = flameOfReport(this.reports[Number(key.slice(4))], apart);
    else this.tree = flameOfCalls(calls, key, mask);
    return true;
  }

  _options(measures, key) {
    const text = measures.map(([each]) => each).join();
    if (text !== this.offered) {
      this.offered = text;
      this.by.replaceChildren(...measures.map(([each, title, about]) =>
        h('option', {value: each, title: about || null}, title)));
    }
    this.by.value = key;
  }

  _controls(state, sandwich) {
    this.modes[0].setAttribute('aria-pressed', String(!sandwich));
    this.modes[1].setAttribute('aria-pressed', String(sandwich));
    this.up.setAttribute('aria-pressed', String(Boolean(state['flame.up'])));
    this.up.hidden = this.zooms.hidden = sandwich;
    const report = this.measure?.startsWith('tree') ? this.reports[Number(this.measure.slice(4))] : null;
    this.apart.hidden = !report?.inlined.length;
    this.apart.setAttribute('aria-pressed', String(this.isApart));
    if (document.activeElement !== this.search) this.search.value = state['flame.s'] ?? '';
    const {tree} = this;
    if (!tree) return;
    const name = FLAME_MEASURES.find(([key]) => key === this.measure)?.[2];
    const frames = tree.size - 1;
    this.about.textContent = [
      `${this.text(tree.total[0])} in ${count(frames)} ${frames === 1 ? 'frame' : 'frames'}`,
      this.mask ? ' of what the filter chooses' : '',
      report?.instances > 1 ? `, ${count(report.instances)} instances` : '',
      name ? `. ${name}.` : '',
    ].join('');
  }

  /** What the search chooses, or null; a wrong expression is said. */
  _find(state) {
    try {
      this.wrong = '';
      return flameSearch(state['flame.s'] ?? '');
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.wrong = 'no regular expression';
      return null;
    }
  }

  _showGraph(state, fresh) {
    const {graph, tree} = this;
    const up = Boolean(state['flame.up']);
    const again = fresh || graph.tree !== tree || up !== this.isUp;
    if (again) {
      graph.setTree(tree, {up});
      const id = this.chosen ? tree.find(this.chosen) : -1;
      graph.rects.setFocus(id, {reveal: false, say: false});
      this.panel.show(tree, id, this.text);
    }
    this.isUp = up;
    if (again || state['flame.at'] !== this.at) this._view(state['flame.at']);
    if (again || state['flame.s'] !== this.searched) {
      const find = this._find(state);
      this.searched = state['flame.s'];
      this.found = graph.match(find);
      this.hits.textContent = this.wrong || (find ? this._hits(find) : '');
    }
  }

  /** How much is found: what is below something found counts once. */
  _hits(find) {
    const {tree} = this;
    const names = new Set(tree.names.map((name, at) => (find(name) ? at : -1)));
    let sum = 0;
    const covered = new Uint8Array(tree.size);
    for (let id = 1; id < tree.size; id += 1) {
      covered[id] = covered[tree.parent[id]];
      if (covered[id] || !names.has(tree.name[id])) continue;
      covered[id] = 1;
      sum += tree.total[id];
    }
    const {length} = this.found;
    return `${count(length)} ${length === 1 ? 'frame' : 'frames'}, ${percent(sum, tree.total[0])}`;
  }

  /** The view of a link: shares of the whole, in millionths. */
  _view(text) {
    this.at = text;
    const {rects} = this.graph;
    const found = /^(\d{1,7})-(\d{1,7})$/.exec(text ?? '');
    const unit = rects.bounds.max / 1e6;
    if (found && Number(found[2]) > Number(found[1])) rects.setView(found[1] * unit, found[2] * unit);
    else rects.setView(rects.bounds.min, rects.bounds.max);
  }

  _moved({from, to}) {
    const {max} = this.graph.rects.bounds;
    const part = (x) => Math.round((x / max) * 1e6);
    this.at = from <= 0 && to >= max ? undefined : `${part(from)}-${part(to)}`;
    this.ctx.set({'flame.at': this.at ?? null});
  }

  _showAround(state, fresh) {
    const {tree} = this;
    const find = this._find(state);
    const name = tree.names.indexOf(state['flame.fn'] ?? '');
    this.hits.textContent = this.wrong;
    const key = ['flame.s', 'flame.sort', 'flame.fn'].map((each) => state[each] ?? '').join('\n');
    if (!fresh && key === this.aroundKey && this.aroundTree === tree) return;
    this.aroundKey = key;
    this.aroundTree = tree;
    const sort = ['total', 'calls', 'name'].includes(state['flame.sort']) ? state['flame.sort'] : 'own';
    this.table.show(tree, {sort, find, text: this.text, chosen: name});
    this.hint.hidden = name >= 0;
    this.sides.hidden = name < 0;
    if (name < 0) return;
    this.title.textContent = shown(tree.names[name]);
    const {callers, callees} = flameAround(tree, name);
    this.callers.setTree(callers, {up: true, skip: 1});
    this.callees.setTree(callees, {skip: 1});
  }

  /** A frame of the graph was clicked, or left with Escape. */
  _choose(id) {
    this.chosen = id < 0 ? null : this.tree.path(id).map((each) => this.tree.title(each));
    this.panel.show(this.tree, id, this.text);
  }

  _focus(id) {
    this.graph.rects.setFocus(id);
    this._choose(id);
    this.graph.rects.canvas.focus();
  }

  _chooseBeside(graph, id) {
    if (id >= 0 && graph.tree.parent[id] > 0) this._around(graph.tree.title(id));
  }

  _around(name) {
    this.ctx.set({'flame.mode': 'sandwich', 'flame.fn': name}, {push: true});
  }

  /** Calls of a frame's function, in the table. */
  _inTable(id) {
    const title = this.tree.title(id);
    const site = this.ctx.model.run.sites.find((each) => siteTitle(each) === title);
    if (site) this.ctx.go('table', {q: `${setOf(site)} edge=${site.edge}`});
  }

  _key(event) {
    const {rects} = this.graph;
    const step = {n: 1, N: 1, p: -1, P: -1}[event.key];
    if (step && this.found.length) {
      const {found} = this;
      const at = found.indexOf(rects.focused);
      const next = at < 0 && step < 0 ? found.length - 1 : (at + step + found.length) % found.length;
      rects.setFocus(found[next]);
      this._choose(found[next]);
      return true;
    }
    if (event.key === 'c' && rects.focused > 0) {
      this._around(this.tree.title(rects.focused));
      return true;
    }
    return false;
  }

  _keyBeside(graph, event) {
    if (event.key !== 'c' || graph.rects.focused <= 0) return false;
    this._chooseBeside(graph, graph.rects.focused);
    return true;
  }

  _searchKey(event) {
    if (event.key === 'Enter' && !this.whole.hidden) {
      this._key({key: event.shiftKey ? 'p' : 'n'});
    } else if (event.key === 'Escape') {
      this.search.value = '';
      this.ctx.set({'flame.s': null});
    }
  }

  resized() {
    for (const graph of [this.graph, this.callers, this.callees]) graph.resized();
  }
}

export const flameView = {
  id: 'flame',
  title: 'Flame graph',
  order: 30,
  keys: FLAME_KEYS,
  has: (model) => Boolean(model.trees?.length || (model.run && (model.run.calls || model.kind === 'live'))),
  create: (ctx) => new FlameView(ctx),
};
