/** The timeline: calls in lanes over time, of each instance, task or request. */
import {RectsCanvas} from '../rects.js';
import {rectsKeys} from '../rects_input.js';
import {count, h} from '../dom.js';
import {IS_TASK} from '../model.js';
import {TIMELINE_CALL, TIMELINE_SPAN, TimelineLayout} from './timeline_layout.js';
import {
  timelineDensity, timelineDrawAxis, timelineDrawMap, timelineLength, timelineTicks, timelineWhen,
} from './timeline_axis.js';
import {timelineAxisInput, timelineMapInput} from './timeline_map.js';
import {TimelineHeads} from './timeline_heads.js';
import {TimelineLegend} from './timeline_legend.js';
import {TimelineLinks} from './timeline_links.js';
import {TimelineRange} from './timeline_range.js';
import {timelineTell, timelineTip, timelineTipMany} from './timeline_tips.js';

const TIMELINE_BY = [['instance', 'Instances'], ['task', 'Tasks'], ['request', 'Requests']];
const TIMELINE_WIDE = 760;
const TIMELINE_KEYS = [
  ...rectsKeys, ['[ ]', 'to the caller, to what it called'], ['N, P', 'next, previous call that the filter chose'],
  ['M', 'the focused call is the range'], ['V', 'what is in view is the range'],
];

/** `from-to` of a fragment as numbers; null: it is no range. */
function timelineRangeOf(text) {
  const found = /^(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)$/.exec(text ?? '');
  if (!found) return null;
  const [from, to] = [Number(found[1]), Number(found[2])];
  return to >= from ? {from, to} : null;
}

class TimelineView {
  constructor(ctx) {
    this.ctx = ctx;
    this.timed = ctx.model.run.timed;
    this.layout = null;
    this.mask = undefined;
    this.cursor = null;
    this.chosen = null;
    this._widget();
    this._build();
    this._listen();
  }

  _widget() {
    this.rects = new RectsCanvas({
      label: 'Timeline of calls',
      minSpan: this.timed ? 20 : 4000,
      text: (id) => this.layout.text(id),
      short: (id) => this.layout.short(id),
      tell: (id) => timelineTell(this.layout, id, this.timed),
      tip: (id) => timelineTip(this.layout, id, this.timed),
      tipMany: (many) => timelineTipMany(this.layout, many, this.timed),
      palette: () => (this.layout ? this.layout.palette() : [{fill: '#888888', ink: '#000000'}]),
      onChoose: (id) => this._choose(id),
      onView: (map) => this._around(map),
      onMoved: (view) => this._moved(view),
      onRange: (range, done) => this._range(range, done),
      onKey: (event) => this._key(event.key),
      under: (g, map) => this._grid(g, map),
      over: (g, map) => this._over(g, map),
      decorate: (g, id, x, y, w, high) => this._decorate(g, id, x, y, w, high),
    });
  }

  _build() {
    this.heads = new TimelineHeads((key) => this._toggle(key));
    this.gutter = h('div', {class: 'gutter'});
    this.axis = h('canvas', {class: 'axis', 'aria-hidden': 'true', title: 'Drag: choose a range'});
    this.map = h('canvas', {class: 'map', 'aria-hidden': 'true', title: 'The whole run; drag what is in view'});
    this.legend = new TimelineLegend();
    this.facts = h('p', {class: 'facts muted', id: 'timeline-facts'});
    this.panel = new TimelineRange({
      zoom: () => this._zoomRange(), clear: () => this.ctx.set({t: null}),
      table: () => this.ctx.go('table', {}), choose: (i) => this._show(i),
    });
    this.rects.canvas.setAttribute('aria-describedby', 'timeline-facts');
    this.body = h('div', {class: 'body'}, this.gutter, this.rects.element);
    this.element = h('section', {'aria-label': 'Timeline'},
      this._tools(), h('div', {class: 'strip'}, this.map), h('div', {class: 'strip'}, this.axis),
      this.body, this.panel.element);
  }

  _tools() {
    const button = (text, title, click) => h('button', {title, on: {click}}, text);
    this.by = TIMELINE_BY.map(([key, text]) => h('button', {
      'aria-pressed': 'false', on: {click: () => this.ctx.set({'timeline.by': key === 'instance' ? null : key})},
    }, text));
    this.off = {
      arrows: this._switch('arrows', 'Arrows', 'What a call became in another lane'),
      spans: this._switch('spans', 'Async', 'Asynchronous calls from beginning to end, below the lanes'),
    };
    return h('div', {class: 'tools', role: 'group', 'aria-label': 'What is shown'},
      h('span', {class: 'set', role: 'group', 'aria-label': 'Lanes of'}, this.by),
      h('span', {class: 'set'}, Object.values(this.off)),
      h('span', {class: 'set'},
        button('Close all', 'All lanes, or one row for each group', () => this._toggleAll())),
      h('span', {class: 'set'},
        button('−', 'Zoom out (S)', () => this.rects.zoomBy(1 / 2, undefined, true)),
        button('+', 'Zoom in (W)', () => this.rects.zoomBy(2, undefined, true)),
        button('All', 'Show the whole run (0)', () => this.rects.reset())),
      this.legend.element, this.facts);
  }

  _switch(key, text, title) {
    return h('button', {title, 'aria-pressed': 'true', on: {click: () => {
      const off = this._offs();
      if (!off.delete(key)) off.add(key);
      this.ctx.set({'timeline.off': [...off].sort().join(',') || null});
    }}}, text);
  }

  _offs() {
    return new Set((this.ctx.state['timeline.off'] ?? '').split(',').filter(Boolean));
  }

  /** Which groups are closed: those that are named, or (`*`) all but these. */
  _closed(state = this.ctx.state) {
    const names = (state['timeline.closed'] ?? '').split(',').filter(Boolean);
    const all = names[0] === '*';
    const named = new Set(all ? names.slice(1) : names);
    return {all, named, has: (key) => named.has(key) !== all};
  }

  _toggle(key) {
    const {all, named} = this._closed();
    if (!named.delete(key)) named.add(key);
    this._close(all, [...named].sort());
  }

  _toggleAll() {
    if (!this.layout) return;
    this._close(!this.layout.groups.some((group) => group.closed), []);
  }

  _close(all, names) {
    this.ctx.set({'timeline.closed': [...(all ? ['*'] : []), ...names].join(',') || null});
  }

  _listen() {
    const {rects} = this;
    timelineAxisInput(this.axis, rects, (range, done) => this._range(range, done));
    timelineMapInput(this.map, rects);
    const cursor = (x) => {
      this.cursor = x;
      rects.draw();
    };
    rects.canvas.addEventListener('pointermove', (event) => {
      if (event.pointerType === 'mouse') cursor(rects.map().world(event.offsetX));
    });
    rects.canvas.addEventListener('pointerleave', () => cursor(null));
    this.body.addEventListener('pointerdown', () => {
      this.legend.element.open = false;
    });
    new ResizeObserver(() => this.resized()).observe(this.element);
    this.gutter.addEventListener('wheel', (event) => {
      rects.scroller.scrollTop += event.deltaY;
    }, {passive: true});
  }

  resized() {
    const heads = this.element.clientWidth < TIMELINE_WIDE;
    if (this.layout && this.element.clientWidth && heads !== this.layout.choice.heads) this.show(this.ctx.state);
    this.rects.resized();
  }

  /** Called at every change of the state or of the calls. */
  show(state) {
    if (this.ctx.calls.n === 0 && !this.layout) {
      this.facts.textContent = this.ctx.progress < 1 ? 'The calls are being read.' : 'There are no calls yet.';
      return;
    }
    this._theme();
    const fresh = this._lay(state);
    const mask = this.ctx.selection();
    if (fresh || mask !== this.mask) this._match(mask);
    this._buttons(state);
    const range = timelineRangeOf(state.t);
    this.rects.setRange(range);
    this._panel(range, mask);
    if (state['timeline.at'] !== this.at) this._view(state['timeline.at']);
    this._focus(state.call);
    this.rects.draw();
  }

  _theme() {
    const theme = document.documentElement.dataset.theme;
    if (theme === this.theme) return;
    this.theme = theme;
    if (this.layout) this.legend.show(this.layout.shownKeys());
    this.rects.recolour();
  }

  /** Lays the calls out again if they, or how they are wanted, have changed. */
  _lay(state) {
    const {calls, progress, model} = this.ctx;
    const by = TIMELINE_BY.some(([key]) => key === state['timeline.by']) ? state['timeline.by'] : 'instance';
    const spans = !this._offs().has('spans');
    const heads = this.element.isConnected && this.element.clientWidth < TIMELINE_WIDE;
    const key = [by, spans, heads, state['timeline.closed'] ?? ''].join('|');
    const grown = !this.layout || calls.version !== this.version;
    const soon = progress < 1 && this.layout && calls.n < this.layout.n * 1.7 && key === this.key;
    if (key === this.key && (!grown || soon)) return false;
    this.key = key;
    this.version = calls.version;
    this.layout = new TimelineLayout(model, calls, {by, spans, heads, closed: this._closed(state)});
    this._lain();
    return true;
  }

  _lain() {
    const {rects, layout} = this;
    const {view, bounds} = rects;
    const first = rects.data === null;
    const whole = view.from <= bounds.min && view.to >= bounds.max;
    const last = !first && !whole && view.to >= bounds.max;
    this.links = new TimelineLinks(layout);
    this.heads.setLayout(layout);
    this.legend.show(layout.shownKeys());
    this.heads.into(layout.choice.heads ? rects.overlay : this.gutter);
    this.element.classList.toggle('narrow', layout.choice.heads);
    rects.recolour();
    rects.setData(layout.data(), !first && !whole);
    if (last) rects.setView(rects.bounds.max - (view.to - view.from), rects.bounds.max);
    this.density = timelineDensity(layout, rects.bounds, 600);
    this.chosen = null;
    this._say();
  }

  _match(mask) {
    this.mask = mask;
    const {layout} = this;
    if (!mask) {
      this.rects.setMatches(null);
      return;
    }
    const all = new Uint8Array(layout.size).fill(1);
    all.set(mask.subarray(0, layout.n));
    for (let id = layout.n; id < layout.size; id += 1) {
      const i = layout.callOf(id);
      if (i >= 0) all[id] = mask[i];
    }
    this.rects.setMatches(all);
  }

  _buttons(state) {
    const offs = this._offs();
    TIMELINE_BY.forEach(([key], at) => {
      this.by[at].setAttribute('aria-pressed', String(key === this.layout.choice.by));
    });
    for (const [key, button] of Object.entries(this.off)) button.setAttribute('aria-pressed', String(!offs.has(key)));
    this.arrows = !offs.has('arrows');
    const any = this.layout.groups.some((group) => group.closed);
    this.element.querySelector('.tools .set:nth-child(3) button').textContent = any ? 'Open all' : 'Close all';
  }

  _panel(range, mask) {
    const key = range && [range.from, range.to, this.key, this.version].join('|');
    if (key === this.panelKey && mask === this.panelMask) return;
    this.panelKey = key;
    this.panelMask = mask;
    this.panel.show(this.layout, range, mask, this.timed);
  }

  /** The view that a link has. */
  _view(text) {
    this.at = text;
    const range = timelineRangeOf(text);
    if (range) this.rects.setView(range.from, range.to);
    else if (this.rects.data) this.rects.setView(this.rects.bounds.min, this.rects.bounds.max);
  }

  _focus(call) {
    const i = /^\d+$/.test(call ?? '') ? Number(call) : -1;
    if (i === this.chosen) return;
    const before = this.chosen;
    this.chosen = i;
    if (i >= 0 && i < this.layout.n) {
      if (this._callOf(this.rects.focused) !== i) this.rects.setFocus(i, {say: false});
    } else if (before !== null) {
      this.rects.setFocus(-1, {say: false});
    }
  }

  _callOf(id) {
    return id >= 0 ? this.layout.callOf(id) : -1;
  }

  /** A rectangle was clicked. */
  _choose(id) {
    const i = this._callOf(id);
    this.chosen = i;
    this.ctx.choose(i >= 0 ? i : null);
  }

  /** From the panel: the call, wherever it is. */
  _show(i) {
    this.rects.zoomTo(i);
    this.rects.setFocus(i);
    this._choose(i);
  }

  _range(range, done) {
    this.rects.setRange(range);
    if (!done) return;
    const whole = range && `${Math.floor(range.from)}-${Math.ceil(range.to)}`;
    this.ctx.set({t: whole}, {push: true});
  }

  _zoomRange() {
    const {range} = this.rects;
    if (range) this.rects.setView(range.from, range.to, true);
  }

  /** The view is at rest: links carry it. */
  _moved({from, to}) {
    if (!this.layout) return;
    const {min, max} = this.rects.bounds;
    const whole = from <= min && to >= max;
    this.at = whole ? undefined : `${Math.floor(from)}-${Math.ceil(to)}`;
    this.ctx.set({'timeline.at': this.at ?? null});
    this._say();
  }

  _say() {
    const {view, bounds} = this.rects;
    const {layout, timed} = this;
    const lost = this.ctx.model.run.losses?.sentence;
    this.facts.replaceChildren(
      `${count(layout.n)} calls in ${count(layout.groups.length)} ${layout.groups.length === 1 ? 'group' : 'groups'}; `
      + `${timelineLength(view.to - view.from, timed)} of ${timelineLength(bounds.max - bounds.min, timed)} in view, `
      + `from ${timelineWhen(view.from, timed)}`,
      ...(lost ? [h('span', {class: 'badge warn', title: lost}, 'records are lost')] : []));
  }

  /** Keys of the timeline beside those of the canvas. */
  _key(key) {
    const {rects} = this;
    const i = this._callOf(rects.focused);
    if (key === 'n' || key === 'p') return this._next(key === 'n' ? 1 : -1);
    if (key === '[' && i >= 0) return this._jump(this.links.callerOf(i));
    if (key === ']' && i >= 0) return this._jump(this.links.calleeOf(i));
    if (key === 'm' && i >= 0) this._range({from: rects.data.x0[i], to: rects.data.x1[i]}, true);
    else if (key === 'v') this._range({...rects.view}, true);
    else if (key === 'Escape' && rects.focused < 0 && rects.range) this.ctx.set({t: null});
    else return false;
    return true;
  }

  _jump(i) {
    if (i >= 0) this.rects.setFocus(i);
    return true;
  }

  /** The next call in time that is chosen by the filter. */
  _next(way) {
    const {layout, rects, mask} = this;
    if (!this.ranks || this.ranksOf !== layout) {
      this.ranks = new Uint32Array(layout.n);
      layout.order.forEach((i, k) => { this.ranks[i] = k; });
      this.ranksOf = layout;
    }
    const i = this._callOf(rects.focused);
    let k = i >= 0 ? this.ranks[i] + way : way > 0 ? 0 : layout.n - 1;
    while (k >= 0 && k < layout.n && ((mask && !mask[layout.order[k]]) || layout.row[layout.order[k]] < 0)) k += way;
    if (k >= 0 && k < layout.n) rects.setFocus(layout.order[k]);
    return true;
  }

  /** Each frame: what is around the canvas. */
  _around(map) {
    this.heads.place(map.top, map.height);
    timelineDrawAxis(this.axis, map, this.timed, this.rects.range, this.cursor);
    timelineDrawMap(this.map, this.density, this.rects, map.css);
  }

  _grid(g, map) {
    const {groups} = this.layout;
    g.fillStyle = this.rects.css('--panel');
    groups.forEach((group, at) => {
      const y = group.top - map.top;
      if (at % 2 === 0 && y < map.height && y + group.height > 0) g.fillRect(0, y - 3, map.width, group.height + 6);
    });
    g.fillStyle = this.rects.css('--line');
    for (const {at} of timelineTicks(map, this.timed).marks) g.fillRect(Math.round(map.x(at)), 0, 1, map.height);
  }

  _over(g, map) {
    if (this.arrows) this.links.draw(g, map, this._callOf(this.rects.focused));
    if (this.cursor !== null) {
      g.fillStyle = this.rects.css('--strong');
      g.fillRect(Math.round(map.x(this.cursor)), 0, 1, map.height);
    }
  }

  /** Waits are hatched; a tick stands where a task had its result, if it goes on. */
  _decorate(g, id, x, y, w, high) {
    const kind = this.layout.kind(id);
    if (kind === TIMELINE_SPAN) {
      g.strokeStyle = this.rects.css('--strong');
      g.setLineDash([4, 3]);
      g.strokeRect(x + 0.5, y + 0.5, w - 1, high - 1);
      g.setLineDash([]);
    }
    if (kind !== TIMELINE_CALL) return;
    const {calls} = this.layout;
    const waits = calls.waits.get(id);
    if (waits) this._waits(g, waits, x, y, w, high);
    if (calls.flags[id] & IS_TASK && calls.result[id] >= 0 && calls.result[id] < calls.dur[id]) {
      const at = this.rects.map().x(calls.start[id] + calls.result[id]);
      g.fillStyle = this.rects.css('--fg');
      g.fillRect(at - 1, y, 2, high);
    }
  }

  _waits(g, waits, x, y, w, high) {
    const map = this.rects.map();
    let drawn = 0;
    g.strokeStyle = this.rects.css('--strong');
    g.lineWidth = 1;
    for (const [from, to] of waits) {
      const left = Math.max(x, map.x(from));
      const right = Math.min(x + w, map.x(to));
      if (right <= left + 0.5) continue;
      g.fillStyle = this.rects.css('--bg');
      g.globalAlpha *= 0.6;
      g.fillRect(left, y + 1, right - left, high - 2);
      g.globalAlpha /= 0.6;
      if (right - left <= 6 || (drawn += 1) > 200) continue;
      g.globalAlpha *= 0.5;
      timelineHatch(g, left, right, y, high);
      g.globalAlpha /= 0.5;
    }
  }
}

/** Slanted lines from `left` to `right`. */
function timelineHatch(g, left, right, y, high) {
  g.save();
  g.beginPath();
  g.rect(left, y, right - left, high);
  g.clip();
  g.beginPath();
  const first = Math.floor((left - high) / 8) * 8;
  for (let x = first; x < right; x += 8) {
    g.moveTo(x, y + high);
    g.lineTo(x + high, y);
  }
  g.stroke();
  g.restore();
}

export const timelineView = {
  id: 'timeline', title: 'Timeline', order: 20, keys: TIMELINE_KEYS,
  has: (model) => Boolean(model.run && (model.run.calls > 0 || model.kind === 'live')),
  create: (ctx) => {
    const view = new TimelineView(ctx);
    return {element: view.element, show: (state) => view.show(state), resized: () => view.resized()};
  },
};
