/** Who called whom as a tree of frames with weights: of calls, as a script has counted, and turned around. */
import {FAILED, siteTitle} from '../model.js';

/** What calls can be weighed by: key, title, weight of call `i`, and whether it needs times. */
export const FLAME_MEASURES = [
  ['time', 'Time', 'Time in the function itself, without what it called and waited', true],
  ['wall', 'Wall time', 'From the call until it was over, waits and all', true],
  ['calls', 'Calls', 'How often it was called', false],
  ['bytes', 'Bytes', 'Bytes of lists passed either way', false],
  ['errors', 'Errors', 'Calls that failed', false],
];

/** Frames as columns; frame 0 is all of it, callers have lower numbers than what they call. */
export class FlameTree {
  /** @param {string[]} names what frames are called, by their number in `name` */
  constructor(names) {
    this.names = names;
    this.parent = [-1];
    this.name = [-1];
    this.own = [0];
    this.calls = [0];
    this.inlined = [0];
    this.known = new Map();
  }

  get size() {
    return this.parent.length;
  }

  /** The frame of `name` below `parent`, made if it is not there. */
  below(parent, name, inlined = 0) {
    const key = (parent * this.names.length + name) * 2 + inlined;
    let found = this.known.get(key);
    if (found === undefined) {
      found = this.parent.length;
      this.known.set(key, found);
      this.parent.push(parent);
      this.name.push(name);
      this.own.push(0);
      this.calls.push(0);
      this.inlined.push(inlined);
    }
    return found;
  }

  /** Adds up, and sorts what is called by its weight; to be called once, when all is in. */
  finish() {
    this.known = null;
    const {size, parent} = this;
    this.total = Float64Array.from(this.own);
    for (let id = size - 1; id > 0; id -= 1) this.total[parent[id]] += this.total[id];
    const heads = new Int32Array(size + 1);
    for (let id = 1; id < size; id += 1) if (this.total[id] > 0) heads[parent[id] + 1] += 1;
    for (let id = 0; id < size; id += 1) heads[id + 1] += heads[id];
    const list = new Int32Array(heads[size]);
    const next = heads.slice();
    for (let id = 1; id < size; id += 1) if (this.total[id] > 0) list[next[parent[id]]++] = id;
    const heavier = (a, b) => this.total[b] - this.total[a] || (this.title(a) < this.title(b) ? -1 : 1);
    for (let id = 0; id < size; id += 1) {
      if (heads[id + 1] - heads[id] > 1) list.subarray(heads[id], heads[id + 1]).sort(heavier);
    }
    this.heads = heads;
    this.list = list;
    return this;
  }

  title(id) {
    return id === 0 ? 'all' : this.names[this.name[id]];
  }

  calleesOf(id) {
    return this.list.subarray(this.heads[id], this.heads[id + 1]);
  }

  /** From the outermost caller to the frame, without "all". */
  path(id) {
    const found = [];
    for (let at = id; at > 0; at = this.parent[at]) found.unshift(at);
    return found;
  }

  /** The frame that such a path of titles leads to; -1: there is none. */
  find(titles) {
    let at = 0;
    for (const title of titles) {
      at = [...this.calleesOf(at)].find((id) => this.title(id) === title) ?? -1;
      if (at < 0) return -1;
    }
    return at;
  }

  /** Whether no caller of the frame is the same function. */
  outermost(id) {
    const name = this.name[id];
    for (let at = this.parent[id]; at > 0; at = this.parent[at]) if (this.name[at] === name) return false;
    return true;
  }

  /** `{name, own, total, calls}` of each function; what calls itself counts once in `total`. */
  functions() {
    const rows = new Map();
    for (let id = 1; id < this.size; id += 1) {
      if (this.total[id] <= 0) continue;
      const name = this.name[id];
      let row = rows.get(name);
      if (!row) rows.set(name, row = {name, own: 0, total: 0, calls: 0});
      row.own += this.own[id];
      row.calls += this.calls[id];
      if (this.outermost(id)) row.total += this.total[id];
    }
    return [...rows.values()];
  }
}

/** The tree of calls by a measure; `mask`: 1 for each call that counts, null: all. */
export function flameOfCalls(calls, by, mask) {
  const names = [];
  const numbers = new Map();
  const nameOf = calls.run.sites.map((site) => {
    const title = siteTitle(site);
    if (!numbers.has(title)) numbers.set(title, names.push(title) - 1);
    return numbers.get(title);
  });
  const tree = new FlameTree(names);
  const weight = flameWeight(calls, by);
  const frames = new Int32Array(calls.n).fill(-1);
  const path = [];
  for (let i = 0; i < calls.n; i += 1) {
    if (mask && !mask[i]) continue;
    let at = i;
    while (at >= 0 && frames[at] < 0) {
      path.push(at);
      at = calls.parent[at];
    }
    let frame = at < 0 ? 0 : frames[at];
    while (path.length) {
      const each = path.pop();
      frame = tree.below(frame, nameOf[calls.site[each]]);
      frames[each] = frame;
    }
    tree.own[frame] += weight(i);
    tree.calls[frame] += 1;
  }
  return tree.finish();
}

/** `(i) → weight` of a call by itself. */
function flameWeight(calls, by) {
  if (by === 'time') return (i) => Math.max(0, calls.self[i]);
  if (by === 'bytes') return (i) => calls.bytes[i];
  if (by === 'errors') return (i) => calls.flags[i] & FAILED;
  if (by !== 'wall') return () => 1;
  const inner = new Float64Array(calls.n);
  for (let i = 0; i < calls.n; i += 1) if (calls.parent[i] >= 0) inner[calls.parent[i]] += calls.dur[i];
  return (i) => Math.max(0, calls.dur[i] - inner[i]);
}

/** A tree of `model.trees`; `apart`: what was inlined has frames of its own. */
export function flameOfReport(report, apart) {
  const tree = new FlameTree(report.names);
  const inlined = new Uint8Array(report.parent.length);
  for (const at of report.inlined) inlined[at] = 1;
  const frames = new Int32Array(report.parent.length);
  for (let at = 0; at < frames.length; at += 1) {
    const parent = report.parent[at];
    const above = parent < 0 ? 0 : frames[parent];
    frames[at] = inlined[at] && !apart ? above : tree.below(above, report.frame[at], inlined[at]);
    tree.own[frames[at]] += report.own[at];
  }
  return tree.finish();
}

/** What a function (by the number of its name) called, wherever it was called itself, and who called it: two
 * trees whose one frame below "all" is the function. */
export function flameAround(tree, name) {
  const callees = new FlameTree(tree.names);
  const callers = new FlameTree(tree.names);
  const frames = new Int32Array(tree.size).fill(-1);
  const top = [callees.below(0, name), callers.below(0, name)];
  for (let id = 1; id < tree.size; id += 1) {
    const above = frames[tree.parent[id]];
    if (above >= 0) {
      frames[id] = callees.below(above, tree.name[id], tree.inlined[id]);
    } else if (tree.name[id] === name) {
      [frames[id]] = top;
      let [, at] = top;
      for (let up = tree.parent[id]; up > 0; up = tree.parent[up]) at = callers.below(at, tree.name[up]);
      callers.own[at] += tree.total[id];
      callers.calls[at] += tree.calls[id];
    } else continue;
    callees.own[frames[id]] += tree.own[id];
    callees.calls[frames[id]] += tree.calls[id];
  }
  return {callees: callees.finish(), callers: callers.finish()};
}

/** Rectangles of a tree, a row a level; `up`: callers below what they call, down to the foot of the `room`
 * (pixels) there is; `skip`: levels left out. */
export function flameRects(tree, {up, rowHeight, colour, room = 0, skip = 0}) {
  const {size} = tree;
  const x0 = new Float64Array(size);
  const x1 = new Float64Array(size);
  const row = new Int32Array(size).fill(-1);
  x1[0] = tree.total[0];
  const depth = new Int32Array(size);
  let deepest = 0;
  for (let id = 0; id < size; id += 1) {
    if (id && tree.total[id] <= 0) continue;
    row[id] = depth[id] - skip;
    deepest = Math.max(deepest, row[id]);
    let at = x0[id];
    for (const inner of tree.calleesOf(id)) {
      x0[inner] = at;
      at += tree.total[inner];
      x1[inner] = at;
      depth[inner] = depth[id] + 1;
    }
  }
  const rows = deepest + 1;
  const lift = up ? Math.max(0, room - rows * rowHeight) : 0;
  const rowTop = Float64Array.from({length: rows}, (_, d) => lift + (up ? rows - 1 - d : d) * rowHeight);
  return {
    row, x0, x1, rowTop, rowHeight, height: lift + rows * rowHeight,
    min: 0, max: Math.max(tree.total[0], Number.MIN_VALUE),
    colour: Uint16Array.from(tree.name, (name) => (name < 0 ? 0 : colour(name))),
  };
}

/** Characters of a path that is taken apart: what is generic over itself takes the square of them. */
const FLAME_LONGEST = 4096;
/** What is left of it: the type of `<Type>::f` and of `<Type as Trait>::f`. */
const FLAME_GENERIC = /<([^<>()]*) as [^<>()]*>|(?<![^<])<([^<>()]*)>(?=::)|<[^<>()]*>|\([^<>()]*\)/g;

/** A name without what it is in, as `frames.py` shortens it: `get-stdout`, `Vec::push`. */
export function flameBrief(name) {
  if (!name.includes('::')) return name.slice(name.indexOf('#', 1) + 1);
  if (name.length > FLAME_LONGEST) return name;
  let path = name;
  let before = '';
  while (path !== before) {
    before = path;
    path = path.replace(FLAME_GENERIC, (_, type, kind) => type ?? kind ?? '');
  }
  const parts = [];
  for (const part of path.split('::').filter(Boolean)) {
    if (part[0] === '{' && parts.length) parts.push(`${parts.pop()}::${part}`);
    else parts.push(part);
  }
  return parts.slice(-2).join('::') || name;
}

/** What a search finds: `/…/` is a regular expression, else a part of the name, in letters of any case.
 * `(name) → whether`; null for no search; throws SyntaxError for what is no expression. */
export function flameSearch(text) {
  if (!text) return null;
  const found = /^\/(.*?)\/?$/.exec(text);
  if (found && found[1]) {
    const expression = new RegExp(found[1], 'iu');
    return (name) => expression.test(name);
  }
  const lower = text.toLowerCase();
  return (name) => name.toLowerCase().includes(lower);
}
