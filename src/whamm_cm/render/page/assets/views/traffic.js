/** What went over each edge of the topology, of the calls that the filter chooses. */
import {FAILED, IS_TASK, WAITED_LATER} from '../model.js';

/** Calls (`open`: not returned), ns from call to result and ns that they ran themselves, bytes. */
function trafficNone() {
  return {calls: 0, errors: 0, open: 0, time: 0, self: 0, bytes: 0};
}

function trafficAdd(into, more) {
  for (const key of Object.keys(more)) into[key] = (into[key] ?? 0) + more[key];
}

/** Whether each call is the callee's side of one between components, as `callees` of
 * `render/topology.py` and its maker have it. */
function trafficCallees(calls) {
  const {run} = calls;
  const found = new Uint8Array(calls.n);
  for (const [, to] of run.flows) {
    found[to] = 1;
  }
  for (let i = 0; i < calls.n; i += 1) {
    const site = run.sites[calls.site[i]];
    if (found[i] || (site.edge !== 'inner' && site.edge !== 'export')) continue;
    const parent = calls.parent[i];
    const above = parent < 0 ? null : run.sites[calls.site[parent]];
    const same = parent >= 0 && calls.instance[parent] === calls.instance[i];
    if (above?.edge === 'inner' && !same && above.interface === site.interface && above.func === site.func) {
      found[i] = 1;
    } else if (site.edge === 'inner') {
      const inside = same || (calls.flags[i] & WAITED_LATER) !== 0;
      found[i] = (calls.flags[i] & IS_TASK) !== 0 || !inside ? 1 : 0;
    }
  }
  return found;
}

/** Adds calls up by site and side, and by edge; knows them again until calls or filter change. */
export class Traffic {
  constructor(ctx) {
    this.ctx = ctx;
    this.topology = ctx.model.topology;
    this.version = -1;
    this.mask = undefined;
    /** Edges by `2 * site + side`. */
    this.roles = new Map(this.topology.sites.map(([site, side, edges]) => [2 * site + side, edges]));
  }

  /** `{edges, sites, whole}`: traffic by edge, and by `2 * site + side`; `whole`: nothing is filtered out. */
  now() {
    const {calls} = this.ctx;
    const mask = calls ? this.ctx.selection() : null;
    if (this.kept && this.mask === mask && this.version === (calls?.version ?? 0)) return this.kept;
    this.mask = mask;
    this.version = calls?.version ?? 0;
    this.kept = calls ? this.count(calls, mask) : this.asKnown();
    return this.kept;
  }

  /** Of a component that nobody has called. */
  asKnown() {
    const edges = this.topology.edges.map(({functions}) => ({...trafficNone(), functions: functions.length}));
    return {edges, sites: new Map(), whole: true};
  }

  count(calls, mask) {
    if (this.calleesOf !== calls.version) {
      this.callees = trafficCallees(calls);
      this.calleesOf = calls.version;
    }
    const rows = this.bySite(calls, mask);
    const edges = this.topology.edges.map(trafficNone);
    const sites = new Map();
    for (const [key, row] of rows.entries()) {
      if (!row) continue;
      sites.set(key, row);
      for (const edge of this.roles.get(key) ?? []) trafficAdd(edges[edge], row);
    }
    this.exchanges(edges, calls, mask);
    return {edges, sites, whole: mask === null};
  }

  bySite(calls, mask) {
    const rows = [];
    for (let i = 0; i < calls.n; i += 1) {
      if (mask && !mask[i]) continue;
      const key = 2 * calls.site[i] + this.callees[i];
      const row = rows[key] ?? (rows[key] = trafficNone());
      row.calls += 1;
      row.errors += calls.flags[i] & FAILED ? 1 : 0;
      row.open += calls.outcome[i] ? 1 : 0;
      row.time += Math.max(0, calls.result[i]);
      row.self += Math.max(0, calls.self[i]);
      row.bytes += calls.bytes[i];
    }
    if (mask) return rows;
    for (const [site, number] of calls.run.counts) {
      const row = rows[2 * site] ?? (rows[2 * site] = trafficNone());
      row.calls += number;
    }
    return rows;
  }

  exchanges(edges, calls, mask) {
    for (const [at, each] of calls.run.exchanges.entries()) {
      const edge = this.topology.peers[at] ?? -1;
      const call = each.call;
      if (edge < 0 || (mask && !mask[call])) continue;
      edges[edge].calls += 1;
      edges[edge].errors += each.failed ? 1 : 0;
      edges[edge].time += each.dur ?? 0;
      edges[edge].bytes += (each.sent ?? 0) + (each.received ?? 0);
    }
  }

  /** The same of a node: what comes in, or of callers what goes out; of a component both. */
  around(index, now = this.now()) {
    const into = trafficNone();
    const out = trafficNone();
    for (const [at, edge] of this.topology.edges.entries()) {
      if (edge.to === index) trafficAdd(into, now.edges[at]);
      if (edge.from === index) trafficAdd(out, now.edges[at]);
    }
    return {into, out};
  }
}
