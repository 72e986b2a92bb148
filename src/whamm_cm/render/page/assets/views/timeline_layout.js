/** Where each call stands in the timeline: groups of lanes, rows of a lane, and the rectangles of them. */
import {DENIED, FAILED, WAITED_LATER, siteTitle} from '../model.js';
import {colourKey, colourOf, textOn} from '../colours.js';
import {count, shown} from '../dom.js';

const TIMELINE_ROW = 19;
const TIMELINE_GAP = 7;
const TIMELINE_HEAD = 22;
/** Rows at most of what overlaps freely, in a group. */
const TIMELINE_PACKED = 400;
/** Kinds of rectangles, in the order of their ids: calls, asynchronous calls from end to end, requests, exchanges. */
export const TIMELINE_CALL = 0;
export const TIMELINE_SPAN = 1;
export const TIMELINE_REQUEST = 2;
export const TIMELINE_EXCHANGE = 3;

/** A stack of what nests; tasks have a lane to themselves from their beginning to their end. */
class TimelineLane {
  constructor(row) {
    this.row = row;
    this.ends = [];
    this.base = 0;
    this.owner = -1;
    this.rows = 1;
  }

  /** The depth at which it stands from now on, or -1: it would cut across what is there. */
  take(start, end, owner, until, fits) {
    const {ends} = this;
    while (ends.length > 0 && ends[ends.length - 1] <= start) ends.pop();
    if (ends.length === 0) {
      this.owner = owner;
      this.base = until > end ? 1 : 0;
      if (this.base) ends.push(until);
    } else if ((owner !== this.owner && !fits) || ends[ends.length - 1] < end) {
      return -1;
    }
    ends.push(end);
    const depth = ends.length - 1 - this.base;
    if (depth >= this.rows) this.rows = depth + 1;
    return depth;
  }
}

/** Rows in which nothing overlaps, whatever the order of ends; what has no place in so many is not shown. */
class TimelinePacking {
  constructor() {
    this.ends = [];
    this.over = 0;
  }

  row(start, end) {
    let at = 0;
    while (at < this.ends.length && this.ends[at] > start) at += 1;
    if (at === TIMELINE_PACKED) {
      this.over += 1;
      return -1;
    }
    this.ends[at] = Math.max(end, start);
    return at;
  }
}

function timelineGroup(key, title) {
  return {
    key, title, calls: 0, failed: 0, lanes: [], packing: new TimelinePacking(), row: 0, rows: 0, top: 0,
    closed: false, last: new Map(), ids: null,
  };
}

/** How long a call is on its lane: an asynchronous one while it keeps its caller. */
function timelineOnLane(calls, i) {
  return calls.flags[i] & WAITED_LATER ? calls.frame[i] : calls.dur[i];
}

/** Order by start, what is longer on its lane first, as indices. */
export function timelineOrder(calls) {
  const {n, start} = calls;
  const long = (i) => timelineOnLane(calls, i);
  const order = new Uint32Array(n);
  let sorted = true;
  for (let i = 0; i < n; i += 1) {
    order[i] = i;
    if (i > 0 && (start[i] < start[i - 1] || (start[i] === start[i - 1] && long(i) > long(i - 1)))) sorted = false;
  }
  if (!sorted) order.sort((a, b) => start[a] - start[b] || long(b) - long(a) || a - b);
  return order;
}

export class TimelineLayout {
  /**
   * @param {object} model  of the page
   * @param {import('../model.js').Calls} calls
   * @param {{by: string, closed: {has: (key: string) => boolean}, spans: boolean, heads: boolean}} choice
   *   `heads`: groups have a strip above them for their names
   */
  constructor(model, calls, choice) {
    this.run = model.run;
    this.calls = calls;
    this.n = calls.n;
    this.choice = choice;
    this.order = timelineOrder(calls);
    this.groups = [];
    this.sites = this.run.sites.map((site) => shown(siteTitle(site)));
    this.shorts = this.run.sites.map((site) => shown(timelineShortName(site)));
    this._colours();
    this._count();
    this._asks();
    this._assign();
    this._arrange();
    this._stack();
    this._place();
  }

  _colours() {
    const numbers = new Map();
    const number = (key) => {
      if (!numbers.has(key)) numbers.set(key, numbers.size);
      return numbers.get(key);
    };
    this.requestColour = number('request');
    this.siteColour = Uint16Array.from(this.run.sites, (site) => number(colourKey(site.name)));
    this.peerColour = (this.run.exchanges ?? []).map((each) => number(String(each.peer)));
    this.keys = [...numbers.keys()];
  }

  /** Of the colours those that are seen: requests have one if there are any. */
  shownKeys() {
    return this.requests.length > 0 && this.choice.by === 'instance' ? this.keys : this.keys.slice(1);
  }

  palette() {
    const ink = textOn();
    return this.keys.map((key) => ({fill: colourOf(key), ink}));
  }

  /** How many rectangles there are, and where their kinds begin. */
  _count() {
    const {calls, n} = this;
    const spans = [];
    if (this.choice.spans) {
      for (let k = 0; k < n; k += 1) {
        const i = this.order[k];
        if (calls.flags[i] & WAITED_LATER) spans.push(i);
      }
    }
    this.spans = Int32Array.from(spans);
    this.requests = (this.run.requests ?? []).filter((each) => each.start !== null);
    this.exchanges = (this.run.exchanges ?? []).filter((each) => each.start !== null);
    this.bases = [0, n, n + spans.length, n + spans.length + this.requests.length];
    this.size = this.bases[3] + this.exchanges.length;
    this.row = new Int32Array(this.size).fill(-1);
    this.x0 = new Float64Array(this.size);
    this.x1 = new Float64Array(this.size);
    this.colour = new Uint16Array(this.size);
    this.flag = new Uint8Array(this.size);
  }

  /** Requests and what was asked of others, in groups at the top. */
  _asks() {
    if (this.choice.by !== 'instance') return;
    this._ask('requests', 'Requests', TIMELINE_REQUEST, this.requests, () => this.requestColour);
    this._ask('exchanges', 'Asked of others', TIMELINE_EXCHANGE, this.exchanges, (at) => this.peerColour[at] ?? 0);
  }

  _ask(key, title, kind, rows, colour) {
    if (rows.length === 0) return;
    const group = timelineGroup(key, title);
    const lane = new TimelineLane(0);
    group.lanes.push(lane);
    group.packed = [];
    this.groups.push(group);
    const order = rows.map((_, at) => at).sort((a, b) => rows[a].start - rows[b].start);
    for (const at of order) {
      const row = rows[at];
      const id = this.bases[kind] + at;
      const end = row.start + (row.dur ?? Math.max(0, this.run.span - row.start));
      this._rect(id, row.start, end, colour(at), (row.failed ? 1 : 0) | (row.dur === null ? 2 : 0));
      group.packed.push([id, group.packing.row(row.start, end)]);
      group.calls += 1;
      group.failed += row.failed ? 1 : 0;
    }
    lane.rows = 0;
  }

  _rect(id, start, end, colour, flag) {
    this.x0[id] = start;
    this.x1[id] = Math.max(start, end);
    this.colour[id] = colour;
    this.flag[id] = flag;
  }

  /** Which group each call is in, and who owns the lane it is on. */
  _assign() {
    const {calls, n} = this;
    const groups = new Map();
    const owners = new Map();
    this.group = new Int32Array(n);
    this.owner = new Float64Array(n);
    const {by} = this.choice;
    for (let k = 0; k < n; k += 1) {
      const i = this.order[k];
      const key = by === 'request' ? calls.req[i] : by === 'task' ? `${calls.instance[i]}/${calls.task[i]}`
        : calls.instance[i];
      let at = groups.get(key);
      if (at === undefined) {
        at = this.groups.length;
        groups.set(key, at);
        this.groups.push(this._groupOf(i, String(key)));
      }
      this.group[i] = at;
      const task = calls.task[i];
      const whose = task ? `${calls.instance[i]}/${task}` : '';
      if (!owners.has(whose)) owners.set(whose, owners.size);
      this.owner[i] = task ? owners.get(whose) : -2 - calls.instance[i];
    }
    this.until = new Float64Array(owners.size);
    for (let i = 0; i < n; i += 1) {
      if (this.owner[i] >= 0) this.until[this.owner[i]] = Math.max(this.until[this.owner[i]], this._end(i));
    }
  }

  _groupOf(i, key) {
    const {calls} = this;
    const {by} = this.choice;
    const group = timelineGroup(key, this._title(i));
    group.instance = by === 'request' ? 0 : calls.instance[i];
    group.number = by === 'request' ? calls.req[i] : by === 'task' ? calls.task[i] : 1;
    return group;
  }

  /** Groups of calls by number, what has none at the end. */
  _arrange() {
    const asked = this.groups.filter((group) => group.packed);
    const groups = this.groups.filter((group) => !group.packed);
    groups.sort((a, b) => !a.number - !b.number || a.instance - b.instance || a.number - b.number);
    const place = new Map([...asked, ...groups].map((group, at) => [group, at]));
    const moved = Int32Array.from(this.groups, (group) => place.get(group));
    for (let i = 0; i < this.n; i += 1) this.group[i] = moved[this.group[i]];
    this.groups = [...asked, ...groups];
  }

  /** What a group is called, by the first call that is in it. */
  _title(i) {
    const {calls} = this;
    const component = this.run.sites[calls.site[i]].component;
    const whose = `instance ${calls.instance[i]}${component ? ` · ${shown(component)}` : ''}`;
    const {by} = this.choice;
    if (by === 'task') return calls.task[i] ? `task ${calls.task[i]} · ${whose}` : `no task · ${whose}`;
    if (by !== 'request') return whose;
    if (!calls.req[i]) return 'outside of requests';
    this.byReq ??= new Map((this.run.requests ?? []).map((each) => [each.req, each]));
    const request = this.byReq.get(calls.req[i]);
    return `${calls.req[i]} · ${request ? timelineRequest(request) : 'request'}`;
  }

  _end(i) {
    return this.calls.start[i] + timelineOnLane(this.calls, i);
  }

  _stack() {
    const {calls, n} = this;
    this.lane = new Array(n);
    this.depth = new Int32Array(n);
    for (let k = 0; k < n; k += 1) {
      const i = this.order[k];
      const group = this.groups[this.group[i]];
      group.calls += 1;
      const failed = (calls.flags[i] & (FAILED | DENIED)) !== 0;
      if (failed) group.failed += 1;
      const open = calls.outcome[i] !== 0 && !(calls.flags[i] & WAITED_LATER);
      const flag = (failed ? 1 : 0) | (open ? 2 : 0);
      this._rect(i, calls.start[i], this._end(i), this.siteColour[calls.site[i]], flag);
      this._onLane(i, group);
    }
    for (const [at, i] of this.spans.entries()) {
      const id = this.bases[TIMELINE_SPAN] + at;
      this._rect(id, calls.start[i], calls.start[i] + calls.dur[i], this.colour[i],
        (this.flag[i] & 1) | (calls.outcome[i] ? 2 : 0));
      const group = this.groups[this.group[i]];
      (group.packed ??= []).push([id, group.packing.row(this.x0[id], this.x1[id])]);
    }
  }

  _onLane(i, group) {
    const owner = this.owner[i];
    const start = this.x0[i];
    const end = this.x1[i];
    const until = owner >= 0 ? this.until[owner] : end;
    const parent = this.calls.parent[i];
    if (parent >= 0 && this.group[parent] === this.group[i] && this.lane[parent]) {
      if (this._try(this.lane[parent], i, group, start, end, owner, until, true)) return;
    }
    const last = group.last.get(owner);
    if (last && this._try(last, i, group, start, end, owner, until, false)) return;
    for (const lane of group.lanes) if (this._try(lane, i, group, start, end, owner, until, false)) return;
    const lane = new TimelineLane(0);
    group.lanes.push(lane);
    this._try(lane, i, group, start, end, owner, until, false);
  }

  _try(lane, i, group, start, end, owner, until, fits) {
    const depth = lane.take(start, end, owner, until, fits);
    if (depth < 0) return false;
    this.lane[i] = lane;
    this.depth[i] = depth;
    if (!group.last.has(owner)) group.last.set(owner, lane);
    return true;
  }

  /** Rows to groups, tops to rows; what is closed keeps one row of what is outermost. */
  _place() {
    this.rowTop = [];
    let top = 2;
    for (const group of this.groups) {
      group.closed = this.choice.closed.has(group.key);
      group.top = top;
      if (this.choice.heads) top += TIMELINE_HEAD;
      group.row = this.rowTop.length;
      let rows = 0;
      for (const lane of group.lanes) {
        lane.row = group.row + rows;
        rows += lane.rows;
      }
      group.spans = rows;
      rows = group.closed ? 1 : Math.max(1, rows + group.packing.ends.length);
      group.rows = rows;
      for (let r = 0; r < rows; r += 1) this.rowTop.push(top + r * TIMELINE_ROW);
      top += rows * TIMELINE_ROW;
      group.height = top - group.top;
      top += TIMELINE_GAP;
    }
    this.height = top;
    this._rows();
  }

  _rows() {
    const busy = new Float64Array(this.groups.length).fill(-Infinity);
    for (let k = 0; k < this.n; k += 1) {
      const i = this.order[k];
      const at = this.group[i];
      const group = this.groups[at];
      if (!group.closed) {
        this.row[i] = this.lane[i].row + this.depth[i];
      } else if (this.depth[i] === 0 && this.x0[i] >= busy[at]) {
        this.row[i] = group.row;
        busy[at] = this.x1[i];
      }
    }
    for (const group of this.groups) this._packedRows(group);
  }

  _packedRows(group) {
    for (const [id, at] of group.packed ?? []) {
      if (at < 0) continue;
      if (!group.closed) this.row[id] = group.row + group.spans + at;
      else if (group.spans === 0 && at === 0) this.row[id] = group.row;
    }
  }

  /** As `RectsCanvas.setData` wants it. */
  data() {
    const {row, x0, x1, colour, flag, rowTop, height} = this;
    return {row, x0, x1, colour, flag, rowTop, rowHeight: TIMELINE_ROW, height, min: 0, max: this._max()};
  }

  _max() {
    let max = this.run.span;
    for (let id = 0; id < this.size; id += 1) if (this.x1[id] > max) max = this.x1[id];
    return Math.max(1, max);
  }

  kind(id) {
    return id < this.bases[1] ? TIMELINE_CALL : id < this.bases[2] ? TIMELINE_SPAN
      : id < this.bases[3] ? TIMELINE_REQUEST : TIMELINE_EXCHANGE;
  }

  /** The call that a rectangle is of, or -1. */
  callOf(id) {
    const kind = this.kind(id);
    if (kind === TIMELINE_CALL) return id;
    if (kind === TIMELINE_SPAN) return this.spans[id - this.bases[1]];
    return this.asked(id).call ?? -1;
  }

  /** The request or exchange of a rectangle. */
  asked(id) {
    return id >= this.bases[3] ? this.exchanges[id - this.bases[3]] : this.requests[id - this.bases[2]];
  }

  /** For where the whole text has no room. */
  short(id) {
    const kind = this.kind(id);
    if (kind === TIMELINE_CALL) return this.shorts[this.calls.site[id]];
    return kind === TIMELINE_SPAN ? `⇢ ${this.shorts[this.calls.site[this.callOf(id)]]}` : this.text(id);
  }

  text(id) {
    const kind = this.kind(id);
    if (kind === TIMELINE_CALL) return this.sites[this.calls.site[id]];
    if (kind === TIMELINE_SPAN) return `⇢ ${this.sites[this.calls.site[this.callOf(id)]]}`;
    return kind === TIMELINE_REQUEST ? timelineRequest(this.asked(id)) : timelineExchange(this.asked(id));
  }
}

/** `fields.get` of `wasi:http/types#[method]fields.get`. */
function timelineShortName(site) {
  return site.func.replace(/^\[[a-z-]+\]/, '');
}

/** How much is in a group. */
export function timelineNote(group) {
  const what = {requests: 'requests', exchanges: 'exchanges'}[group.key] ?? 'calls';
  const one = group.calls === 1 ? what.slice(0, -1) : what;
  return `${count(group.calls)} ${one}${group.failed ? ` · ${count(group.failed)} failed` : ''}`
    + (group.packing.over ? ` · ${count(group.packing.over)} not shown` : '');
}

export function timelineRequest(request) {
  return shown(`${request.name ?? `request ${request.req}`}${request.status ? ` → ${request.status}` : ''}`);
}

export function timelineExchange(each) {
  const what = [each.method, each.url ?? each.peer].filter(Boolean).join(' ');
  return shown(`${what || each.kind}${each.status ? ` → ${each.status}` : ''}`);
}
