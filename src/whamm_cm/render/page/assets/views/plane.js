/** A plane to move about in: wheel (with Ctrl), drag, pinch and keys change where its content is seen. */

const PLANE_LEAST = 0.1;
const PLANE_MOST = 4;
/** A pointer that has moved less has clicked. */
const PLANE_STILL = 5;

/** `outer` is an SVG element, `inner` the group in it that is moved; `width` and `height` of the content. */
export class Plane {
  constructor(outer, inner, width, height) {
    Object.assign(this, {outer, inner, width, height, x: 0, y: 0, scale: 1, moved: false});
    this.pointers = new Map();
    this.dragged = 0;
    outer.addEventListener('wheel', (event) => this.wheel(event), {passive: false});
    outer.addEventListener('pointerdown', (event) => this.down(event));
    outer.addEventListener('pointermove', (event) => this.move(event));
    for (const over of ['pointerup', 'pointercancel']) {
      outer.addEventListener(over, (event) => this.pointers.delete(event.pointerId));
    }
    outer.addEventListener('click', (event) => {
      if (this.dragged > PLANE_STILL) event.stopPropagation();
    }, {capture: true});
  }

  place() {
    this.inner.setAttribute('transform', `translate(${this.x} ${this.y}) scale(${this.scale})`);
  }

  /** All of it, but never so small that nothing can be read: then its left end. */
  fit(least = this.outer.clientWidth < 600 ? 0.7 : 0.55) {
    const {clientWidth, clientHeight} = this.outer;
    if (!clientWidth || !clientHeight) return;
    const margin = 16;
    const room = [(clientWidth - 2 * margin) / this.width, (clientHeight - 2 * margin) / this.height];
    this.scale = Math.min(Math.max(Math.min(...room), least), 1.25);
    const [wide, high] = [this.width * this.scale, this.height * this.scale];
    this.x = Math.max(margin, (clientWidth - wide) / 2);
    this.y = (clientHeight - high) / 2;
    this.moved = false;
    this.place();
  }

  /** Larger or smaller by `factor`; what is at `at` (of the outer element) stays there. */
  zoom(factor, at = [this.outer.clientWidth / 2, this.outer.clientHeight / 2]) {
    const scale = Math.min(Math.max(this.scale * factor, PLANE_LEAST), PLANE_MOST);
    const by = scale / this.scale;
    this.x = at[0] - (at[0] - this.x) * by;
    this.y = at[1] - (at[1] - this.y) * by;
    this.scale = scale;
    this.moved = true;
    this.place();
  }

  shift(x, y) {
    this.x += x;
    this.y += y;
    this.moved = true;
    this.place();
  }

  /** Moves a box of the content into sight. */
  reveal(x, y, w, h) {
    const {clientWidth, clientHeight} = this.outer;
    const [left, top] = [x * this.scale + this.x, y * this.scale + this.y];
    const [right, bottom] = [left + w * this.scale, top + h * this.scale];
    const by = (low, high, room) => {
      if (low < 8) return 8 - low;
      return high > room - 8 ? Math.max(room - 8 - high, 8 - low) : 0;
    };
    const [dx, dy] = [by(left, right, clientWidth), by(top, bottom, clientHeight)];
    if (dx || dy) this.shift(dx, dy);
  }

  /** Without a key the page scrolls. */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = this.outer.getBoundingClientRect();
    const step = event.deltaY * (event.deltaMode ? 0.05 : 0.005);
    this.zoom(Math.exp(-Math.max(-1, Math.min(1, step))), [event.clientX - box.x, event.clientY - box.y]);
  }

  down(event) {
    if (event.button) return;
    if (!this.pointers.size) this.dragged = 0;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    this.dragged += Math.abs(dx) + Math.abs(dy);
    if (this.dragged > PLANE_STILL) this.outer.setPointerCapture(event.pointerId);
    if (this.pointers.size === 1) {
      if (this.dragged > PLANE_STILL) this.shift(dx, dy);
    } else {
      this.pinch(event.pointerId, before, now);
    }
    this.pointers.set(event.pointerId, now);
  }

  /** One of two fingers has moved. */
  pinch(id, before, now) {
    const other = [...this.pointers].find(([each]) => each !== id)[1];
    const far = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    const box = this.outer.getBoundingClientRect();
    const middle = [(now[0] + other[0]) / 2 - box.x, (now[1] + other[1]) / 2 - box.y];
    this.shift((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    if (far(before) > 1) this.zoom(far(now) / far(before), middle);
  }
}
