// A canvas of rectangles: the widget under the timeline and the flame graph.
//
// It knows rows of rectangles over one axis (of time, of weight), draws what is in view, at the cost of the pixels
// and not of the rectangles, and turns pointers, wheels and keys into views, focus and choices. What a rectangle
// is, its name and what is said of it are the owner's. Vertical scrolling is the browser's own.
import {RectsIndex} from './rects_index.js';
import {RectsPainter} from './rects_paint.js';
import {RectsInput} from './rects_input.js';

/**
 * @typedef {object} RectsData  one entry per rectangle in each column; its number is its id
 * @property {Int32Array} row       which row (-1: not shown)
 * @property {Float64Array} x0      where it begins, in world units
 * @property {Float64Array} x1      where it ends (>= x0); in a row, none overlaps another
 * @property {Uint8Array|Uint16Array} colour  index into what `palette()` gave
 * @property {Uint8Array} [flag]    1 failed (a bar at its foot and a cross before its name), 2 has no end (fades out)
 * @property {Float64Array|number[]} rowTop   where each row is, in pixels of the content
 * @property {number} rowHeight     in pixels; 16 to 24 are good
 * @property {number} height        of the content, in pixels
 * @property {number} min           the axis: what is shown at most
 * @property {number} max
 */

/**
 * @typedef {object} RectsMap  what a callback that draws gets beside the context: world to pixels of the canvas
 * @property {(world: number) => number} x
 * @property {(pixel: number) => number} world
 * @property {(row: number) => number} y   top of a row
 * @property {number} from  @property {number} to      world units in view
 * @property {number} top    pixels scrolled           @property {number} rowHeight
 * @property {number} width  @property {number} height of the canvas, in CSS pixels
 * @property {(name: string) => string} css            value of a CSS variable at the widget
 */

/**
 * @typedef {object} RectsOptions
 * @property {string} label                    accessible name of the canvas
 * @property {(id: number) => string} text     what is written into a rectangle (already `shown()`)
 * @property {(id: number) => string} [short]  written where the text does not fit
 * @property {(id: number) => string} tell     one sentence, for the live region
 * @property {() => {fill: string, ink: string}[]} palette   colours as CSS writes them; asked at `recolour()`
 * @property {(id: number) => (Node|string|null)} [tip]      beside the pointer
 * @property {(many: {count: number, failed: number, longest: number, from: number, to: number, row: number}) =>
 *   (Node|string|null)} [tipMany]             the same for rectangles that share a pixel (`longest` is an id)
 * @property {(id: number) => void} [onChoose] clicked, or Enter; -1: beside all (click, Escape)
 * @property {(id: number) => void} [onOpen]   clicked twice, or `f` (default: `zoomTo(id)`)
 * @property {(map: RectsMap) => void} [onView]  in each frame, before anything is drawn
 * @property {(view: {from: number, to: number}) => void} [onMoved]  the view is at rest again (250 ms)
 * @property {(range: {from: number, to: number}|null, done: boolean) => void} [onRange]  Shift and drag
 * @property {(key: KeyboardEvent) => boolean} [onKey]       first look at a key; true: taken
 * @property {(g: CanvasRenderingContext2D, map: RectsMap) => void} [under]  drawn before the rectangles
 * @property {(g: CanvasRenderingContext2D, map: RectsMap) => void} [over]   drawn after them
 * @property {(g: CanvasRenderingContext2D, id: number, x: number, y: number, w: number, h: number) => void}
 *   [decorate]                                onto each rectangle of 4 pixels or more, below its name
 * @property {number} [minSpan]                least width of the view in world units (default 1)
 * @property {boolean} [wheelZooms]            a plain wheel zooms where there is nothing to scroll
 */

export class RectsCanvas {
  /** @param {RectsOptions} options */
  constructor(options) {
    this.options = {minSpan: 1, ...options};
    this.view = {from: 0, to: 1};
    this.bounds = {min: 0, max: 1};
    this.focused = -1;
    this.hovered = -1;
    this.range = null;
    this.data = null;
    this.index = null;
    this.width = 0;
    this.height = 0;
    this._build();
    this._painter = new RectsPainter(this);
    this._input = new RectsInput(this);
    this._frame = 0;
    this._rest = 0;
    this._glide = null;
    this.recolour();
  }

  /** `element` goes into the page; `overlay` lies over the canvas and lets pointers through. */
  _build() {
    const make = (tag, name, parent) => {
      const element = document.createElement(tag);
      element.className = name;
      if (parent) parent.append(element);
      return element;
    };
    this.element = make('div', 'rects', null);
    this.scroller = make('div', 'rects-scroll', this.element);
    this.stage = make('div', 'rects-stage', this.scroller);
    this.canvas = make('canvas', 'rects-canvas', this.stage);
    this.overlay = make('div', 'rects-overlay', this.stage);
    this.spacer = make('div', 'rects-spacer', this.scroller);
    this.tip = make('div', 'rects-tip', this.element);
    this.live = make('div', 'rects-live', this.element);
    this.live.setAttribute('aria-live', 'polite');
    this.tip.hidden = true;
    this.tip.setAttribute('aria-hidden', 'true');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-label', this.options.label);
    this.canvas.setAttribute('aria-roledescription', 'chart');
    this.scroller.addEventListener('scroll', () => this.draw());
    new ResizeObserver(() => this.resized()).observe(this.element);
  }

  /**
   * Other rectangles. The view stays where `keepView` says so (a filter, more of the same run); else all is shown.
   * @param {RectsData} data
   */
  setData(data, keepView = false) {
    this.data = data;
    this.index = new RectsIndex(data);
    this.bounds = {min: data.min, max: Math.max(data.max, data.min + this.options.minSpan)};
    if (this.focused >= data.row.length) this.focused = -1;
    this.hovered = -1;
    this._fit();
    if (keepView) this.setView(this.view.from, this.view.to);
    else this.setView(data.min, data.max);
  }

  /** Shows `from` to `to`, as far as there is anything; `animate` glides there. */
  setView(from, to, animate = false) {
    const aim = this._within(from, to);
    if (animate && !this.calm()) {
      this._glide = {start: performance.now(), old: {...this.view}, aim};
    } else {
      this._glide = null;
      this.view = aim;
    }
    this.draw();
    clearTimeout(this._rest);
    this._rest = setTimeout(() => this.options.onMoved?.({...this.view}), 250);
  }

  /** A view of the same width that stays in the bounds. */
  _within(from, to) {
    const {min, max} = this.bounds;
    const span = Math.min(Math.max(to - from, this.options.minSpan), max - min);
    const middle = (from + to) / 2;
    const start = Math.min(Math.max(middle - span / 2, min), max - span);
    return {from: start, to: start + span};
  }

  /** Whether the reader asked for no movement. */
  calm() {
    return matchMedia('(prefers-reduced-motion: reduce)').matches;
  }

  panBy(world) {
    this.setView(this.view.from + world, this.view.to + world);
  }

  /** Zooms by a factor (2: half as much in view) around a place of the world (default: the middle). */
  zoomBy(factor, at = (this.view.from + this.view.to) / 2, animate = false) {
    const {min, max} = this.bounds;
    const old = this._glide ? this._glide.aim : this.view;
    const span = Math.min(Math.max((old.to - old.from) / factor, this.options.minSpan), max - min);
    const share = (at - old.from) / (old.to - old.from);
    this.setView(at - share * span, at + (1 - share) * span, animate);
  }

  /** Shows all. */
  reset() {
    this.setView(this.bounds.min, this.bounds.max, true);
  }

  /** The rectangle, with a little around it. */
  zoomTo(id) {
    const {x0, x1} = this.data;
    const span = Math.max(x1[id] - x0[id], this.options.minSpan);
    this.setView(x0[id] - span * 0.05, x0[id] + span * 1.05, true);
    this.revealRow(this.data.row[id]);
  }

  /** @param {Uint8Array|null} mask one byte per id: what is not in it is drawn pale; null: all are in it */
  setMatches(mask) {
    if (!this.index) return;
    this.index.match(mask);
    this.draw();
  }

  /** Puts the ring around a rectangle (-1: none), says it in the live region, and brings it into view. */
  setFocus(id, {reveal = true, say = true} = {}) {
    this.focused = this.index && this.index.place[id] >= 0 ? id : -1;
    if (this.focused >= 0 && reveal) this.reveal(id);
    if (say) this.live.textContent = this.focused >= 0 ? this.options.tell(id) : '';
    this.draw();
  }

  reveal(id) {
    const {x0, x1, row} = this.data;
    const {from, to} = this.view;
    const span = to - from;
    if (x1[id] <= from || x0[id] >= to) {
      const middle = x1[id] - x0[id] > span ? x0[id] + span * 0.4 : (x0[id] + x1[id]) / 2;
      this.setView(middle - span / 2, middle + span / 2, true);
    }
    this.revealRow(row[id]);
  }

  revealRow(row) {
    if (row < 0) return;
    const y = this.data.rowTop[row];
    const {scrollTop} = this.scroller;
    const room = this.height - this.data.rowHeight * 2;
    if (y < scrollTop + this.data.rowHeight) this.scroller.scrollTop = y - this.data.rowHeight * 2;
    else if (y > scrollTop + room) this.scroller.scrollTop = y - room;
    this.draw();
  }

  /** @param {{from: number, to: number}|null} range drawn as a band over all rows */
  setRange(range) {
    this.range = range;
    this.draw();
  }

  /** The theme is another one, or the palette. */
  recolour() {
    this._painter.recolour();
    this.draw();
  }

  /** The room for it is another one (it looks itself, too). */
  resized() {
    // A canvas of another size is empty: it is painted before it is seen so.
    if (this._fit() && this.index) this._painter.paint();
    else this.draw();
  }

  /** Takes the room there is; whether the canvas was emptied by that. */
  _fit() {
    const {clientWidth, clientHeight} = this.scroller;
    if (!clientWidth || !clientHeight) return false;
    this.width = clientWidth;
    this.height = clientHeight;
    this.stage.style.height = `${clientHeight}px`;
    const content = this.data ? this.data.height : 0;
    this.spacer.style.height = `${Math.max(0, content - clientHeight)}px`;
    return this._painter.resize();
  }

  /** Whether there is more than fits, downwards. */
  scrolls() {
    return this.data !== null && this.data.height > this.height + 1;
  }

  /** Draws in the next frame. */
  draw() {
    if (!this._frame) this._frame = requestAnimationFrame((now) => this._drawNow(now));
  }

  _drawNow(now) {
    this._frame = 0;
    if (this._glide) this._step(now);
    if (this._input.step(now)) this.draw();
    if (this.index && this.width) this._painter.paint();
  }

  _step(now) {
    const {start, old, aim} = this._glide;
    const share = Math.min(1, (now - start) / 180);
    const eased = 1 - (1 - share) ** 3;
    this.view = {from: old.from + (aim.from - old.from) * eased, to: old.to + (aim.to - old.to) * eased};
    if (share >= 1) this._glide = null;
    this.draw();
  }

  /** @returns {RectsMap} */
  map() {
    const {from, to} = this.view;
    const scale = this.width / (to - from);
    const top = this.scroller.scrollTop;
    const data = this.data;
    return {
      x: (world) => (world - from) * scale,
      world: (pixel) => from + pixel / scale,
      y: (row) => data.rowTop[row] - top,
      from, to, top, width: this.width, height: this.height, rowHeight: data?.rowHeight ?? 0,
      css: (name) => this.css(name),
    };
  }

  /** Value of a CSS variable at the widget, as of the last `recolour()`. */
  css(name) {
    return this._painter.css(name);
  }

  /** The row at a pixel of the canvas, or -1. */
  rowAt(y) {
    const {rowTop, rowHeight} = this.data;
    const at = y + this.scroller.scrollTop;
    for (let r = 0; r < rowTop.length; r++) if (at >= rowTop[r] && at < rowTop[r] + rowHeight) return r;
    return -1;
  }

  /**
   * What is under a pixel of the canvas: `id` of the rectangle, and `many` where several share that pixel;
   * null: nothing.
   */
  at(x, y) {
    const row = this.index ? this.rowAt(y) : -1;
    if (row < 0) return null;
    const unit = (this.view.to - this.view.from) / this.width;
    const world = this.view.from + x * unit;
    let found = null;
    const near = (a, b, from, to) => {
      const off = world < from ? from - world : world > to ? world - to : 0;
      if (off <= unit * 2 && (!found || off < found.off)) found = {off, a, b, from, to};
    };
    const {x0, x1} = this.index;
    this.index.walk(row, world - 3 * unit, world + 3 * unit, unit,
      (k) => near(k, k + 1, x0[k], x1[k]),
      (a, b, column) => near(a, b, column * unit, (column + 1) * unit));
    return found && this._found(found, row);
  }

  _found({a, b, from, to}, row) {
    const {index} = this;
    const id = index.ids[index.longest(a, b)];
    if (b - a === 1) return {id, row, many: null};
    const failed = index.failed[b] - index.failed[a];
    return {id, row, many: {count: b - a, failed, longest: id, from, to, row}};
  }
}
