// Where rectangles are: sorted by row and place, with sums and longest ones of any stretch of a row, so that a
// frame costs as much as there are pixels, however many rectangles there are.

const RECTS_FAN = 16;

/** Stretches of one row that are narrower than a pixel are drawn as one of these. */
export class RectsIndex {
  /**
   * @param {{row: Int32Array, x0: Float64Array, x1: Float64Array, flag?: Uint8Array, rowTop: ArrayLike<number>}} data
   *   one entry per rectangle (its id); `row` -1: not shown. In a row, none overlaps another.
   */
  constructor(data) {
    this.rows = data.rowTop.length;
    this.first = new Uint32Array(this.rows + 1);
    this.place = new Int32Array(data.row.length).fill(-1);
    this._sort(data);
    this._gather(data);
    this._climb();
    this.matched = null;
  }

  /** Ids by row, then by place: `ids[first[r] .. first[r+1]]` is row r. */
  _sort(data) {
    const { row } = data;
    for (let i = 0; i < row.length; i++) if (row[i] >= 0) this.first[row[i] + 1]++;
    for (let r = 0; r < this.rows; r++) this.first[r + 1] += this.first[r];
    this.n = this.first[this.rows];
    this.ids = new Uint32Array(this.n);
    const next = this.first.slice(0, this.rows);
    for (let i = 0; i < row.length; i++) if (row[i] >= 0) this.ids[next[row[i]]++] = i;
    for (let r = 0; r < this.rows; r++) this._sortRow(data, this.ids.subarray(this.first[r], this.first[r + 1]));
  }

  _sortRow(data, part) {
    for (let k = 1; k < part.length; k++) {
      if (data.x0[part[k]] < data.x0[part[k - 1]]) {
        part.sort((a, b) => data.x0[a] - data.x0[b] || data.x1[a] - data.x1[b]);
        return;
      }
    }
  }

  _gather(data) {
    const n = this.n;
    this.x0 = new Float64Array(n);
    this.x1 = new Float64Array(n);
    this.covered = new Float64Array(n + 1);
    this.failed = new Uint32Array(n + 1);
    for (let k = 0; k < n; k++) {
      const id = this.ids[k];
      this.place[id] = k;
      this.x0[k] = data.x0[id];
      this.x1[k] = data.x1[id];
      this.covered[k + 1] = this.covered[k] + this.x1[k] - this.x0[k];
      this.failed[k + 1] = this.failed[k] + (data.flag ? data.flag[id] & 1 : 0);
    }
  }

  /** Levels of the longest rectangle of 16, of 256 …: places, not ids. */
  _climb() {
    this.levels = [];
    let below = null;
    for (let n = Math.ceil(this.n / RECTS_FAN); n >= 1; n = Math.ceil(n / RECTS_FAN)) {
      const level = new Uint32Array(n);
      for (let b = 0; b < n; b++) level[b] = this._longestOf(below, b * RECTS_FAN, (b + 1) * RECTS_FAN);
      this.levels.push(level);
      below = level;
      if (n === 1) break;
    }
  }

  _longestOf(below, from, to) {
    const end = Math.min(to, below ? below.length : this.n);
    let best = below ? below[from] : from;
    for (let j = from + 1; j < end; j++) {
      const k = below ? below[j] : j;
      if (this.x1[k] - this.x0[k] > this.x1[best] - this.x0[best]) best = k;
    }
    return best;
  }

  /** Place of the longest rectangle of places [a, b), which is not empty. */
  longest(a, b) {
    let best = a;
    let level = -1;
    let size = 1;
    for (let k = a; k < b;) {
      while (level + 1 < this.levels.length && k % (size * RECTS_FAN) === 0 && k + size * RECTS_FAN <= b) {
        size *= RECTS_FAN;
        level++;
      }
      while (k + size > b || k % size !== 0) {
        size /= RECTS_FAN;
        level--;
      }
      const at = level < 0 ? k : this.levels[level][k / size];
      if (this.x1[at] - this.x0[at] > this.x1[best] - this.x0[best]) best = at;
      k += size;
    }
    return best;
  }

  /** How many of places [a, b) are in the mask that `match` was given. */
  matches(a, b) {
    return this.matched ? this.matched[b] - this.matched[a] : b - a;
  }

  /** @param {Uint8Array|null} mask one byte per id */
  match(mask) {
    this.matched = mask && new Uint32Array(this.n + 1);
    if (!mask) return;
    for (let k = 0; k < this.n; k++) this.matched[k + 1] = this.matched[k] + (mask[this.ids[k]] ? 1 : 0);
  }

  /** First place of [a, b) whose start is at `x` or later; looks near `a` first. */
  startsFrom(x, a, b) {
    let step = 1;
    let low = a;
    while (low + step < b && this.x0[low + step] < x) {
      low += step;
      step *= 2;
    }
    let high = Math.min(b, low + step + 1);
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.x0[mid] < x) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** First place of a row that ends behind `x`. */
  endsBehind(x, row) {
    const start = this.first[row];
    const at = this.startsFrom(x, start, this.first[row + 1]);
    return at > start && this.x1[at - 1] > x ? at - 1 : at;
  }

  /** The place in `row` nearest to `x`, or -1 where the row is empty. */
  nearest(x, row) {
    const end = this.first[row + 1];
    const at = this.endsBehind(x, row);
    if (at >= end) return end > this.first[row] ? end - 1 : -1;
    if (at === this.first[row] || this.x0[at] <= x) return at;
    return x - this.x1[at - 1] < this.x0[at] - x ? at - 1 : at;
  }

  rowOf(place) {
    let low = 0;
    let high = this.rows;
    while (low + 1 < high) {
      const mid = (low + high) >> 1;
      if (this.first[mid] <= place) low = mid;
      else high = mid;
    }
    while (this.first[low + 1] <= place) low++;
    return low;
  }

  /**
   * What is to be drawn of a row between `from` and `to`, at `unit` world units a pixel: `wide(place)` for what has
   * a pixel or more, `narrow(a, b, column)` for places [a, b) that begin in one pixel. Columns are counted from
   * world 0, so that panning does not regroup them.
   */
  walk(row, from, to, unit, wide, narrow) {
    const end = this.first[row + 1];
    let k = this.endsBehind(from, row);
    while (k < end && this.x0[k] < to) {
      if (this.x1[k] - this.x0[k] >= unit) {
        wide(k++);
        continue;
      }
      const column = Math.floor(this.x0[k] / unit);
      let stop = this.startsFrom((column + 1) * unit, k, end);
      if (stop <= k) stop = k + 1;
      if (stop - 1 > k && this.x1[stop - 1] - this.x0[stop - 1] >= unit) stop--;
      narrow(k, stop, column);
      k = stop;
    }
  }
}
