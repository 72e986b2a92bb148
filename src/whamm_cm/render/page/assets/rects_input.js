// Pointers, wheels and keys of a RectsCanvas.

const RECTS_STEP = {w: [0, 1], W: [0, 1], s: [0, -1], S: [0, -1], a: [-1, 0], A: [-1, 0], d: [1, 0], D: [1, 0]};

/** What the keys do; views show it in their help. */
export const rectsKeys = [
  ['W, S, +, −', 'zoom in, out'], ['A, D', 'pan left, right'], ['0', 'show all'],
  ['← → ↑ ↓', 'to the next rectangle'], ['Home, End', 'first, last of the row'],
  ['Enter', 'choose'], ['F', 'zoom to the focused one'], ['Esc', 'choose none'],
  ['Ctrl + wheel, pinch', 'zoom'], ['Shift + wheel, drag', 'pan'], ['Shift + drag', 'choose a range'],
];

export class RectsInput {
  /** @param {import('./rects.js').RectsCanvas} owner */
  constructor(owner) {
    this.owner = owner;
    this.pointers = new Map();
    this.held = new Set();
    this.before = 0;
    this.mouse = null;
    this.deed = null;
    const {canvas, scroller} = owner;
    const on = (name, does) => canvas.addEventListener(name, (event) => does.call(this, event));
    on('pointerdown', this.down);
    on('pointermove', this.move);
    on('pointerup', this.up);
    on('pointercancel', this.cancel);
    on('pointerleave', this.leave);
    on('dblclick', this.twice);
    on('keydown', this.key);
    on('keyup', this.release);
    on('blur', () => this.held.clear());
    scroller.addEventListener('wheel', (event) => this.wheel(event), {passive: false});
    for (const name of ['gesturestart', 'gesturechange']) {
      scroller.addEventListener(name, (event) => this.gesture(event), {passive: false});
    }
  }

  point(event) {
    const box = this.owner.canvas.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  }

  world(x) {
    const {view, width} = this.owner;
    return view.from + (x / width) * (view.to - view.from);
  }

  wheel(event) {
    const {owner} = this;
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const zooms = event.ctrlKey || event.metaKey || (owner.options.wheelZooms && !owner.scrolls());
    const across = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
    if (zooms && !event.shiftKey && Math.abs(event.deltaY) >= Math.abs(event.deltaX)) {
      event.preventDefault();
      const factor = Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * 0.004);
      owner.zoomBy(factor, this.world(this.point(event).x));
    } else if (event.shiftKey || Math.abs(across) > Math.abs(event.deltaY)) {
      event.preventDefault();
      owner.panBy((across * lines * (owner.view.to - owner.view.from)) / owner.width);
    } else if (!owner.scrolls()) {
      this.hint(event);
      return;
    }
    this.hideTip();
  }

  /** Safari's pinch on a touchpad; others turn that into a wheel with Ctrl. */
  gesture(event) {
    event.preventDefault();
    if (this.pointers.size > 0) return;
    if (event.type === 'gesturechange') this.owner.zoomBy(event.scale / this.scale, this.world(this.point(event).x));
    this.scale = event.scale;
  }

  /** A wheel that does nothing was meant to do something. */
  hint(event) {
    this.hideTip();
    this.owner.tip.replaceChildren('Ctrl and the wheel zoom, Shift and the wheel pan');
    this.owner.tip.hidden = false;
    this.placeTip(this.point(event));
  }

  down(event) {
    if (event.button > 0 && event.pointerType === 'mouse') return;
    this.owner.canvas.focus({preventScroll: true});
    this.owner.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.point(event));
    if (this.pointers.size === 2) this.deed = this.pinching();
    else if (this.pointers.size === 1) this.deed = this.dragging(event);
  }

  dragging(event) {
    const {x, y} = this.point(event);
    const {owner} = this;
    return {
      kind: event.shiftKey && owner.options.onRange ? 'range' : 'pan', x, y, moved: false, world: this.world(x),
      from: owner.view.from, top: owner.scroller.scrollTop, touch: event.pointerType === 'touch',
    };
  }

  pinching() {
    const [one, two] = [...this.pointers.values()];
    const {view} = this.owner;
    const wide = Math.max(20, Math.abs(one.x - two.x));
    return {kind: 'pinch', wide, at: this.world((one.x + two.x) / 2), span: view.to - view.from, moved: true};
  }

  move(event) {
    const at = this.point(event);
    this.mouse = at;
    if (!this.pointers.has(event.pointerId)) {
      this.hover(at);
      return;
    }
    this.pointers.set(event.pointerId, at);
    const {deed} = this;
    if (!deed) return;
    if (deed.kind === 'pinch') this.pinch(deed);
    else if (deed.moved || Math.hypot(at.x - deed.x, at.y - deed.y) > (deed.touch ? 8 : 4)) {
      deed.moved = true;
      this.hideTip();
      this.owner.canvas.classList.add('rects-drags');
      if (deed.kind === 'range') this.stretch(deed, at, false);
      else this.pan(deed, at);
    }
  }

  pan(deed, at) {
    const {owner} = this;
    const span = owner.view.to - owner.view.from;
    const from = deed.from - ((at.x - deed.x) / owner.width) * span;
    owner.setView(from, from + span);
    if (!deed.touch) owner.scroller.scrollTop = deed.top - (at.y - deed.y);
  }

  pinch(deed) {
    if (this.pointers.size < 2) return;
    const {owner} = this;
    const [one, two] = [...this.pointers.values()];
    const wide = Math.max(20, Math.abs(one.x - two.x));
    const span = Math.max(owner.options.minSpan, (deed.span * deed.wide) / wide);
    const share = (one.x + two.x) / 2 / owner.width;
    owner.setView(deed.at - share * span, deed.at + (1 - share) * span);
  }

  stretch(deed, at, done) {
    const {owner} = this;
    const {min, max} = owner.bounds;
    const here = Math.min(max, Math.max(min, this.world(at.x)));
    const range = {from: Math.min(deed.world, here), to: Math.max(deed.world, here)};
    owner.setRange(range);
    owner.options.onRange(range, done);
  }

  up(event) {
    const {deed, owner} = this;
    const at = this.point(event);
    this.pointers.delete(event.pointerId);
    owner.canvas.classList.remove('rects-drags');
    if (this.pointers.size > 0) {
      this.deed = null;
      return;
    }
    this.deed = null;
    if (!deed || deed.kind === 'pinch') return;
    if (deed.moved && deed.kind === 'range') this.stretch(deed, at, true);
    else if (!deed.moved) this.choose(at);
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.owner.canvas.classList.remove('rects-drags');
    this.deed = null;
  }

  choose(at) {
    const {owner} = this;
    const found = owner.at(at.x, at.y);
    owner.setFocus(found ? found.id : -1, {reveal: false});
    owner.options.onChoose?.(found ? found.id : -1);
  }

  twice(event) {
    const at = this.point(event);
    const found = this.owner.at(at.x, at.y);
    if (found) this.open(found.id);
  }

  open(id) {
    if (this.owner.options.onOpen) this.owner.options.onOpen(id);
    else this.owner.zoomTo(id);
  }

  leave() {
    this.mouse = null;
    this.hideTip();
  }

  hideTip() {
    this.owner.tip.hidden = true;
    this.tipOf = null;
    this.under(-1);
  }

  /** What the pointer is over now, -1: nothing. */
  under(id) {
    if (id === this.owner.hovered) return;
    this.owner.hovered = id;
    this.owner.draw();
  }

  hover(at) {
    const {owner} = this;
    const found = owner.data ? owner.at(at.x, at.y) : null;
    owner.canvas.style.cursor = found ? 'pointer' : '';
    if (!found) {
      this.hideTip();
      return;
    }
    this.under(found.id);
    const key = found.many ? `${found.many.from}/${found.many.row}` : found.id;
    if (key !== this.tipOf) {
      const content = found.many ? owner.options.tipMany?.(found.many) : owner.options.tip?.(found.id);
      owner.tip.replaceChildren(...(content ? [content] : []));
      owner.tip.hidden = !content;
      this.tipOf = key;
    }
    this.placeTip(at);
  }

  /** Beside the pointer, on the side that has the room. */
  placeTip({x, y}) {
    const {tip, width, height} = this.owner;
    if (tip.hidden) return;
    const left = x + 14 + tip.offsetWidth > width ? Math.max(4, x - 14 - tip.offsetWidth) : x + 14;
    const top = y + 16 + tip.offsetHeight > height ? Math.max(4, y - 12 - tip.offsetHeight) : y + 16;
    tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  key(event) {
    const {owner} = this;
    if (!owner.data || event.ctrlKey || event.metaKey || event.altKey) return;
    if (owner.options.onKey?.(event) || this.does(event.key)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /** Does what a key is for; false: it is for nothing here. */
  does(key) {
    const {owner} = this;
    if (RECTS_STEP[key]) this.hold(key);
    else if (key === '+' || key === '=') owner.zoomBy(1.6, this.middle(), true);
    else if (key === '-' || key === '_') owner.zoomBy(1 / 1.6, this.middle(), true);
    else if (key === '0') owner.reset();
    else if (key === 'ArrowLeft' || key === 'ArrowRight') this.along(key === 'ArrowLeft' ? -1 : 1);
    else if (key === 'ArrowUp' || key === 'ArrowDown') this.across(key === 'ArrowUp' ? -1 : 1);
    else if (key === 'Home' || key === 'End') this.ends(key === 'Home');
    else if ((key === 'f' || key === 'F') && owner.focused >= 0) this.open(owner.focused);
    else if (key === 'Enter' || key === ' ') this.enter();
    else if (key === 'Escape') this.none();
    else return false;
    return true;
  }

  enter() {
    if (this.owner.focused < 0) this.along(1);
    else this.owner.options.onChoose?.(this.owner.focused);
  }

  none() {
    this.owner.setFocus(-1);
    this.owner.options.onChoose?.(-1);
  }

  /** Where keys zoom: at the mouse, or at the focused rectangle, or in the middle. */
  middle() {
    const {owner} = this;
    const {from, to} = owner.view;
    if (this.mouse) return this.world(this.mouse.x);
    if (owner.focused >= 0) {
      const {x0, x1} = owner.data;
      const at = (Math.max(x0[owner.focused], from) + Math.min(x1[owner.focused], to)) / 2;
      if (at > from && at < to) return at;
    }
    return (from + to) / 2;
  }

  hold(key) {
    const {owner} = this;
    if (owner.calm()) {
      const [pan, zoom] = RECTS_STEP[key];
      if (zoom) owner.zoomBy(zoom > 0 ? 1.4 : 1 / 1.4, this.middle());
      else owner.panBy(pan * 0.15 * (owner.view.to - owner.view.from));
      return;
    }
    if (this.held.size === 0) this.before = 0;
    this.held.add(key.toLowerCase());
    owner.draw();
  }

  release(event) {
    this.held.delete(event.key.toLowerCase());
  }

  /** Moves on by what is held down; whether anything is. */
  step(now) {
    if (this.held.size === 0) return false;
    const passed = this.before ? Math.min(50, now - this.before) : 16;
    this.before = now;
    const {owner} = this;
    for (const key of this.held) {
      const [pan, zoom] = RECTS_STEP[key];
      if (zoom) owner.zoomBy(Math.exp(zoom * passed * 0.0032), this.middle());
      else owner.panBy(pan * passed * 0.0011 * (owner.view.to - owner.view.from));
    }
    return true;
  }

  /** To the one before or behind in the same row. */
  along(way) {
    const {owner} = this;
    const {index} = owner;
    if (owner.focused < 0) {
      this.first();
      return;
    }
    const place = index.place[owner.focused];
    const row = owner.data.row[owner.focused];
    const next = this.matching(place + way, way, row);
    if (next >= 0) owner.setFocus(index.ids[next]);
  }

  /** The next place of a row that the search found; -1: none. */
  matching(place, way, row) {
    const {index} = this.owner;
    let at = place;
    while (at >= index.first[row] && at < index.first[row + 1]) {
      if (index.matches(at, at + 1)) return at;
      at += way;
    }
    return -1;
  }

  first() {
    const {owner} = this;
    const {index} = owner;
    for (let row = 0; row < index.rows; row++) {
      if (owner.data.rowTop[row] < owner.scroller.scrollTop) continue;
      const at = index.endsBehind(owner.view.from, row);
      const next = this.matching(at, 1, row);
      if (next >= 0 && index.x0[next] < owner.view.to) {
        owner.setFocus(index.ids[next]);
        return;
      }
    }
    if (index.n > 0) owner.setFocus(index.ids[0]);
  }

  /** Up or down on the screen: to what is there at the same place, or else to what is nearest in the next row. */
  across(way) {
    const {owner} = this;
    const {index, data} = owner;
    if (owner.focused < 0) {
      this.first();
      return;
    }
    const {from, to} = owner.view;
    const id = owner.focused;
    const at = (Math.max(data.x0[id], from) + Math.min(data.x1[id], to)) / 2;
    const step = way * this.downwards();
    let nearest = -1;
    for (let row = data.row[id] + step; row >= 0 && row < index.rows; row += step) {
      const place = index.nearest(at, row);
      if (place < 0) continue;
      if (nearest < 0) nearest = place;
      if (index.x1[place] < data.x0[id] || index.x0[place] > data.x1[id]) continue;
      nearest = place;
      break;
    }
    if (nearest >= 0) owner.setFocus(index.ids[nearest]);
  }

  /** 1 where a later row is further down, -1 in a picture that grows upwards. */
  downwards() {
    const {rowTop} = this.owner.data;
    return rowTop.length > 1 && rowTop[1] < rowTop[0] ? -1 : 1;
  }

  ends(first) {
    const {owner} = this;
    const {index, data} = owner;
    if (owner.focused < 0) {
      this.first();
      return;
    }
    const row = data.row[owner.focused];
    owner.setFocus(index.ids[first ? index.first[row] : index.first[row + 1] - 1]);
  }
}
