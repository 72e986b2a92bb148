/** What leads from one lane to another: calls that became tasks elsewhere, and callers in other lanes. */

const TIMELINE_ARROWS = 300;

export class TimelineLinks {
  /** @param {import('./timeline_layout.js').TimelineLayout} layout */
  constructor(layout) {
    this.layout = layout;
    const pairs = [];
    const {calls} = layout;
    const became = new Set();
    for (const [from, to] of layout.run.flows ?? []) {
      if (from >= layout.n || to >= layout.n) continue;
      became.add(to);
      pairs.push(from, to);
    }
    for (let i = 0; i < layout.n; i += 1) {
      const parent = calls.parent[i];
      if (parent >= 0 && layout.lane[parent] !== layout.lane[i] && !became.has(i)) pairs.push(parent, i);
    }
    this._sort(pairs);
  }

  _sort(pairs) {
    const {x0} = this.layout;
    const order = Uint32Array.from({length: pairs.length / 2}, (_, k) => k);
    order.sort((a, b) => x0[pairs[2 * a + 1]] - x0[pairs[2 * b + 1]] || a - b);
    this.from = Int32Array.from(order, (k) => pairs[2 * k]);
    this.to = Int32Array.from(order, (k) => pairs[2 * k + 1]);
    this.callers = new Map();
    this.callees = new Map();
    for (let k = 0; k < order.length; k += 1) {
      this.callers.set(this.to[k], this.from[k]);
      const known = this.callees.get(this.from[k]);
      if (known) known.push(this.to[k]);
      else this.callees.set(this.from[k], [this.to[k]]);
    }
  }

  /** Who called it: over a link, else in the same lane; -1: nobody that is known. */
  callerOf(i) {
    return this.callers.get(i) ?? this.layout.calls.parent[i];
  }

  /** What it became or called first; -1: nothing. */
  calleeOf(i) {
    const over = this.callees.get(i);
    if (over) return over[0];
    const inside = this.layout.calls.childrenOf(i);
    return inside.length > 0 ? inside[0] : -1;
  }

  _first(at) {
    const {x0} = this.layout;
    let low = 0;
    let high = this.to.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (x0[this.to[mid]] < at) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** Draws those that end in view, if they are few enough to be followed, and those of the focused call. */
  draw(g, map, focused) {
    const {layout} = this;
    const begin = this._first(map.from);
    const seen = [];
    for (let k = begin; k < this.to.length && layout.x0[this.to[k]] <= map.to; k += 1) {
      if (!this._visible(this.from[k], map) && !this._visible(this.to[k], map)) continue;
      seen.push(k);
      if (seen.length > TIMELINE_ARROWS) break;
    }
    g.lineWidth = 1.2;
    g.globalAlpha = 0.6;
    if (seen.length <= TIMELINE_ARROWS) for (const k of seen) this._arrow(g, map, this.from[k], this.to[k], '--muted');
    g.globalAlpha = 1;
    g.lineWidth = 2;
    for (const [from, to] of this.around(focused)) this._arrow(g, map, from, to, '--accent');
  }

  /** The chain of callers of a call, and what it leads to, over links. */
  around(i) {
    if (i < 0) return [];
    const pairs = (this.callees.get(i) ?? []).slice(0, 100).map((to) => [i, to]);
    for (let at = i, steps = 0; at >= 0 && steps < 200; steps += 1) {
      const over = this.callers.get(at);
      if (over !== undefined) pairs.push([over, at]);
      at = over ?? this.layout.calls.parent[at];
    }
    return pairs;
  }

  _visible(id, map) {
    const row = this.layout.row[id];
    if (row < 0) return false;
    const y = map.y(row);
    return y + map.rowHeight > 0 && y < map.height;
  }

  /** From the caller, below the place where the other begins, to its beginning: from above where they are close. */
  _arrow(g, map, from, to, colour) {
    const {row, x0, x1, lane} = this.layout;
    if (row[from] < 0 || row[to] < 0 || row[from] === row[to] || lane[from] === lane[to]) return;
    const within = (x) => Math.max(-50, Math.min(map.width + 50, x));
    const x2 = within(map.x(x0[to]));
    const x = within(map.x(Math.min(Math.max(x0[to], x0[from]), x1[from])));
    const down = map.y(row[to]) > map.y(row[from]);
    const y = map.y(row[from]) + (down ? map.rowHeight - 2 : 1);
    g.strokeStyle = map.css(colour);
    g.fillStyle = g.strokeStyle;
    g.beginPath();
    g.moveTo(x, y);
    if (x2 - x > 24) {
      const y2 = map.y(row[to]) + map.rowHeight / 2;
      const bend = Math.max(14, Math.min(60, Math.abs(y2 - y) / 3));
      g.bezierCurveTo(x, y + (down ? bend : -bend), x2 - bend, y2, x2 - 5, y2);
      g.stroke();
      timelineHead(g, x2, y2, 1, 0);
    } else {
      const y2 = map.y(row[to]) + (down ? 0 : map.rowHeight - 1);
      g.bezierCurveTo(x, (y + y2) / 2, x2 + 3, (y + y2) / 2, x2 + 3, y2 + (down ? -5 : 5));
      g.stroke();
      timelineHead(g, x2 + 3, y2, 0, down ? 1 : -1);
    }
  }
}

/** The tip of an arrow at (x, y) that points where (dx, dy) does. */
function timelineHead(g, x, y, dx, dy) {
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x - 7 * dx - 4 * dy, y - 7 * dy - 4 * dx);
  g.lineTo(x - 7 * dx + 4 * dy, y - 7 * dy + 4 * dx);
  g.fill();
}
