/** At first sight: what the component may do, what it did, what went wrong, what was slow. */
import {bytes, count, cut, h, ns, percent, shown, shownCut} from '../dom.js';
import {CANCELLED, DENIED, FAILED, siteTitle} from '../model.js';
import {strongColourOf} from '../colours.js';
import {SiteSet} from '../sets.js';
import {filterHasSet, filterNames, filterText, filterWithin} from './filter.js';
import {filterOfSite, setOf, siteParts, statusOf} from './details.js';

const OVERVIEW_TOP = 10;
/** Characters of what is said of losses; reasons are texts of a log. */
const OVERVIEW_SENTENCE = 400;
/** While the records are read, it is made anew at most so often (ms). */
const OVERVIEW_PAUSE = 400;

/** What the chosen calls come to, by site and altogether. */
function overviewSums(calls, mask) {
  const sites = calls.run.sites.map(() => ({
    calls: 0,
    failed: 0,
    denied: 0,
    open: 0,
    self: 0,
    wall: 0,
    returned: 0,
    bytes: 0,
    slowest: -1,
    longest: -1,
  }));
  const all = {calls: 0, failed: 0, denied: 0, open: 0, cancelled: 0, bytes: 0, reqs: new Set()};
  for (let i = 0; i < calls.n; i += 1) {
    if (mask && !mask[i]) continue;
    const sum = sites[calls.site[i]];
    const flags = calls.flags[i];
    const [failed, denied, open] = [flags & FAILED ? 1 : 0, flags & DENIED ? 1 : 0, calls.outcome[i] ? 1 : 0];
    sum.calls += 1;
    sum.failed += failed;
    sum.denied += denied;
    sum.open += open;
    sum.bytes += calls.bytes[i];
    if (calls.self[i] > 0) sum.self += calls.self[i];
    if (calls.result[i] >= 0) {
      sum.wall += calls.result[i];
      sum.returned += 1;
    }
    if (calls.result[i] > sum.longest) [sum.longest, sum.slowest] = [calls.result[i], i];
    all.calls += 1;
    all.failed += failed;
    all.denied += denied;
    all.open += open;
    all.cancelled += flags & CANCELLED ? 1 : 0;
    all.bytes += calls.bytes[i];
    if (mask && calls.req[i]) all.reqs.add(calls.req[i]);
  }
  return {sites, all};
}

/** The `most` calls that took longest, exports only where there is nothing else. */
function overviewSlowest(calls, mask, most) {
  const {sites} = calls.run;
  const inside = sites.map((site) => site.edge !== 'export');
  const only = sites.some((_, number) => inside[number]);
  const found = [];
  for (let i = 0; i < calls.n; i += 1) {
    if ((mask && !mask[i]) || calls.result[i] < 0 || (only && !inside[calls.site[i]])) continue;
    if (found.length === most && calls.result[i] <= calls.result[found[most - 1]]) continue;
    let at = found.length;
    while (at > 0 && calls.result[found[at - 1]] < calls.result[i]) at -= 1;
    found.splice(at, 0, i);
    if (found.length > most) found.pop();
  }
  return found;
}

/** What the filter takes for all functions of an interface; "": of the world. */
function overviewPattern(name) {
  if (!name) return '#*';
  return /^[a-z0-9:/._-]{1,4096}$/.test(name) ? name : filterText(name);
}

/** Rows `{name, covers, q, may, sites}` of classes, and of interfaces that are in none. */
function overviewClasses(model) {
  const table = model.classes?.table ?? [];
  const sites = model.run?.sites ?? [];
  const names = sites.map((row, number) => filterNames(row, model.classes?.inner?.[number]));
  const imports = (model.component?.capabilities ?? []).find((each) => each.part === 0)?.imports ?? null;
  const may = (imports ?? []).flatMap((each) =>
    each.functions
      .filter(({kind}) => kind !== 'drop')
      .map((one) => ({
        reachable: one.reachable,
        interface: each.interface || '',
        names: [[each.interface || '', each.version || null, one.name]],
      })),
  );
  const taken = new Set();
  const rows = table.map((row) => {
    const set = new SiteSet(`%${row.name}`, table);
    const edge = row.edge || 'import';
    const members = sites.flatMap((site, number) =>
      site.edge === edge && set.selects(site.edge, ...names[number]) ? [number] : [],
    );
    const allowed = row.edge ? [] : may.filter((each) => set.selects('import', [each.names], []));
    members.forEach((number) => taken.add(number));
    allowed.forEach((each) => taken.add(each));
    return {
      name: `%${row.name}`,
      covers: row.covers,
      q: row.edge ? `%${row.name}` : `%${row.name} edge=import`,
      sites: members,
      may: allowed,
      known: imports !== null && !row.edge,
    };
  });
  const others = new Map();
  const other = (name) => {
    if (!others.has(name))
      others.set(name, {
        name,
        covers: '',
        q: `${overviewPattern(name)} edge=import`,
        sites: [],
        may: [],
        known: imports !== null,
      });
    return others.get(name);
  };
  sites.forEach((site, number) => {
    if (site.edge === 'import' && !taken.has(number)) other(site.interface).sites.push(number);
  });
  for (const each of may) if (!taken.has(each)) other(each.interface).may.push(each);
  return [...rows, ...others.values()].filter((row) => row.sites.length || row.may.length);
}

class Overview {
  constructor(ctx) {
    this.ctx = ctx;
    this.element = h('div', {});
    this.key = '';
    this.made = -Infinity;
  }

  show(state) {
    const {calls, progress} = this.ctx;
    const key = JSON.stringify([
      calls?.n,
      calls?.version,
      state.q,
      state.t,
      state.theme,
      document.documentElement.dataset.theme,
      progress === 1,
    ]);
    if (key === this.key) return;
    if (progress < 1 && performance.now() - this.made < OVERVIEW_PAUSE) return;
    [this.key, this.made] = [key, performance.now()];
    const mask = calls ? this.ctx.selection() : null;
    const sums = calls ? overviewSums(calls, mask) : null;
    this.element.replaceChildren(
      ...[
        calls && this.losses(),
        calls && (this.uncalled() ?? this.tiles(sums, mask)),
        h(
          'div',
          {class: 'cards'},
          [
            this.classes(sums),
            calls && this.errors(sums, mask),
            calls && this.slowest(mask),
            calls && this.time(sums),
            calls && this.requests(sums, mask),
            calls && this.peers(sums, mask),
        calls && !mask && this.counted(),
          ].filter(Boolean),
        ),
      ].filter(Boolean),
    );
  }

  losses() {
    const {sentence} = this.ctx.model.run.losses;
    if (!sentence) return null;
    const text = `Incomplete: ${shown(sentence)}.`;
    if (text.length <= OVERVIEW_SENTENCE) return h('p', {class: 'notice', role: 'note'}, text);
    return h(
      'details',
      {class: 'notice'},
      h('summary', {}, cut(text, OVERVIEW_SENTENCE)),
      text,
    );
  }

  /** What is said where a run is here, but none of its calls. */
  uncalled() {
    const {kind, run} = this.ctx.model;
    if (run.calls || kind === 'live') return null;
    const counted = run.counts?.length ? ' What was only counted is below.' : '';
    const said = this.ctx.model.reports ? ' What scripts reported is under Reports.' : '';
    return h(
      'p',
      {class: 'notice', role: 'note'},
      `The log has no calls: a trace records those that -e trace=SET asks for.${counted}${said}`,
    );
  }

  tiles({all}, mask) {
    const {run} = this.ctx.model;
    const {calls} = this.ctx;
    const tile = (value, what, kind = '', q = '') =>
      h(
        'div',
        {class: `tile ${kind}`},
        h(
          'div',
          {class: 'big'},
          q && Number(value.replace(/,/g, ''))
            ? this.filterLink(value, q)
            : value,
        ),
        h('div', {class: 'muted'}, what),
      );
    const counted = (run.counts ?? []).reduce((sum, [, n]) => sum + n, 0);
    return h(
      'div',
      {class: 'tiles'},
      tile(count(all.calls), mask ? `of ${count(calls.n)} calls` : all.calls === 1 ? 'call' : 'calls'),
      counted ? tile(count(counted), 'counted only') : null,
      run.timed ? tile(ns(run.span), 'from first to last') : tile(count(run.records), 'records, no times'),
      tile(count(all.failed), 'failed', all.failed ? 'bad' : '', 'status=failed'),
      tile(count(all.denied), 'not allowed', all.denied ? 'bad' : '', 'status=denied'),
      tile(count(all.open), 'never returned', all.open ? 'warn' : '', 'status=pending,unfinished'),
      all.cancelled ? tile(count(all.cancelled), 'cancelled', 'warn', 'status=cancelled') : null,
      tile(bytes(all.bytes), 'moved'),
      tile(count(run.instances.length), run.instances.length === 1 ? 'instance' : 'instances'),
      run.requests.length
        ? tile(count(run.requests.length), run.requests.length === 1 ? 'request' : 'requests')
        : null,
    );
  }

  go(event, q) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.ctx.go('table', {q});
  }

  /** To the calls of `q` among those that are chosen: counts here are of these. */
  filterLink(text, more) {
    const q = filterWithin(this.ctx, more);
    return h('a', {href: this.ctx.link({view: 'table', q}), on: {click: (event) => this.go(event, q)}}, text);
  }

  card(title, note, ...children) {
    return h(
      'section',
      {class: 'card'},
      h('h2', {}, title),
      note ? h('p', {class: 'muted note'}, note) : null,
      children,
    );
  }

  table(heads, rows) {
    return h(
      'div',
      {class: 'wide', tabindex: '0', role: 'group', 'aria-label': heads[0].replace(/^-/, '')},
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            heads.map((each) =>
              h('th', {scope: 'col', class: each.startsWith('-') ? 'number' : ''}, each.replace(/^-/, '')),
            ),
          ),
        ),
        h(
          'tbody',
          {},
          rows.map((cells) =>
            h(
              'tr',
              {},
              cells.map((cell, at) => h('td', {class: heads[at].startsWith('-') ? 'number' : ''}, cell)),
            ),
          ),
        ),
      ),
    );
  }

  classes(sums) {
    const rows = overviewClasses(this.ctx.model);
    const known = rows.some((row) => row.known);
    if (!rows.length) return null;
    const add = (row, key) =>
      row.sites.reduce((sum, number) => sum + (sums ? sums.sites[number][key] : 0), 0);
    const most = Math.max(1, ...rows.map((row) => add(row, 'calls')));
    const cells = rows.map((row) => {
      const [calls, failed] = [add(row, 'calls'), add(row, 'failed')];
      const q = calls ? this.within(row, sums) : null;
      const may = row.may.filter((each) => each.reachable).length;
      const name = shownCut(row.name || 'functions of the world', 80);
      return [
        [
          q ? this.filterLink(name, q) : name,
          row.covers ? h('div', {class: 'muted'}, row.covers) : null,
        ],
        ...(known
          ? [
              row.known
                ? h(
                    'span',
                    {title: `${count(row.may.length)} imported`},
                    may ? `${count(may)} ${may === 1 ? 'function' : 'functions'}` : 'nothing reachable',
                  )
                : '',
            ]
          : []),
        ...(sums
          ? [
              calls
                ? [count(calls), overviewBar(calls / most, '--accent')]
                : h('span', {class: 'muted'}, 'none recorded'),
              failed ? h('span', {class: 'bad'}, count(failed)) : '',
              add(row, 'bytes') ? bytes(add(row, 'bytes')) : '',
            ]
          : []),
      ];
    });
    const heads = [
      'What',
      ...(known ? ['It may call'] : []),
      ...(sums ? ['-Calls', '-Failed', '-Bytes'] : []),
    ];
    return this.card(
      known ? 'What it may do, and did' : 'What it did',
      known ? 'Functions that its code can reach, and calls of this run.' : '',
      this.table(heads, cells),
    );
  }

  /** What chooses the calls of a row; null: no filter does.  Of two sets none is what both have, but a list of
   * functions is. */
  within(row, sums) {
    if (!filterHasSet(this.ctx)) return row.q;
    const {sites} = this.ctx.model.run;
    const called = row.sites.filter((number) => sums.sites[number].calls).map((number) => sites[number]);
    const names = [...new Set(called.map(setOf))];
    return names.some((name) => name[0] === '"') ? null : `${names.join()} edge=${called[0].edge}`;
  }

  /** Errors by function and name, what was not allowed first. */
  errors({all}, mask) {
    if (!all.failed) return null;
    const {calls, model} = this.ctx;
    const named = new Map((model.overview?.errors ?? []).map(([i, code]) => [i, model.overview.codes[code]]));
    const groups = new Map();
    for (let i = 0; i < calls.n; i += 1) {
      if (!(calls.flags[i] & FAILED) || (mask && !mask[i])) continue;
      const code = named.get(i) ?? '';
      const key = `${calls.site[i]} ${code}`;
      const group = groups.get(key) ?? {
        site: calls.siteOf(i),
        code,
        n: 0,
        first: i,
        denied: (calls.flags[i] & DENIED) !== 0,
      };
      group.n += 1;
      groups.set(key, group);
    }
    const rows = [...groups.values()]
      .sort((a, b) => b.denied - a.denied || b.n - a.n)
      .slice(0, 40)
      .map((group) => [
        h('span', {class: `badge ${group.denied ? 'bad' : 'warn'}`}, group.denied ? 'not allowed' : 'failed'),
        this.name(group.site),
        group.code ? h('code', {}, shownCut(group.code, 24)) : h('span', {class: 'muted'}, 'no name'),
        count(group.n),
        h('button', {class: 'plain', on: {click: () => this.ctx.choose(group.first)}}, 'first one'),
      ]);
    return this.card(
      'What was denied, what failed',
      '',
      this.table(['How', 'Function', 'Error', '-Times', 'Look'], rows),
    );
  }

  name(site, link = (text) => text) {
    const [edge, func, from] = siteParts(site);
    const style = {background: strongColourOf(site.interface || site.func)};
    return h(
      'div',
      {class: 'site', title: shown(siteTitle(site))},
      h('span', {class: 'dot', 'aria-hidden': 'true', style}),
      h('span', {class: 'mono'}, link(cut(func, 60))),
      edge ? [' ', h('span', {class: 'badge'}, edge)] : null,
      from ? h('div', {class: 'muted'}, cut(from, 70)) : null,
    );
  }

  slowest(mask) {
    const {calls} = this.ctx;
    const found = calls.run.timed ? overviewSlowest(calls, mask, OVERVIEW_TOP) : [];
    if (!found.length) return null;
    const longest = calls.result[found[0]] || 1;
    return this.card(
      'Slowest calls',
      '',
      this.table(
        ['Function', '-Took', '-By itself', 'Status', 'Look'],
        found.map((i) => [
          this.name(calls.siteOf(i)),
          [ns(calls.result[i]), overviewBar(calls.result[i] / longest, '--accent')],
          calls.self[i] < 0 ? '' : ns(calls.self[i]),
          statusOf(calls, i)[0],
          h('button', {class: 'plain', on: {click: () => this.ctx.choose(i)}}, 'show'),
        ]),
      ),
    );
  }

  /** Where the time went, by function and by itself; without times, what was called most. */
  time({sites}) {
    const {calls} = this.ctx;
    const {timed} = calls.run;
    const key = timed ? 'self' : 'calls';
    const order = sites
      .map((sum, number) => [sum, number])
      .filter(([sum]) => sum.calls)
      .sort(([a], [b]) => b[key] - a[key]);
    const whole = order.reduce((sum, [each]) => sum + each[key], 0) || 1;
    if (!order.length) return null;
    const rows = order
      .slice(0, OVERVIEW_TOP)
      .map(([sum, number]) => [
        this.filterSite(calls.run.sites[number]),
        [percent(sum[key], whole), overviewBar(sum[key] / whole, '--good')],
        ...(timed ? [ns(sum.self)] : []),
        count(sum.calls),
        ...(timed ? [sum.longest < 0 ? '' : ns(sum.wall / sum.returned), sum.longest < 0 ? '' : ns(sum.longest)] : []),
      ]);
    const heads = [
      'Function',
      '-Share',
      ...(timed ? ['-Itself'] : []),
      '-Calls',
      ...(timed ? ['-Mean', '-Longest'] : []),
    ];
    return this.card(
      timed ? 'Where the time went' : 'What was called most',
      timed ? 'Time of calls by themselves, without the calls made from them.' : '',
      this.table(heads, rows),
    );
  }

  /** Sites that only count, which no call is of. */
  counted() {
    const {counts = [], sites} = this.ctx.model.run;
    if (!counts.length) return null;
    const order = [...counts].sort(([, a], [, b]) => b - a);
    const rows = order.slice(0, 40).map(([number, n]) => [this.name(sites[number]), count(n)]);
    const more = counts.length > 40 ? `The ${count(40)} most of ${count(counts.length)} functions.` : '';
    return this.card('Counted only', more, this.table(['Function', '-Calls'], rows));
  }

  filterSite(site) {
    return this.name(site, (text) => this.filterLink(text, filterOfSite(this.ctx.model.run.sites, site)));
  }

  requests({all}, mask) {
    const {timed} = this.ctx.model.run;
    const list = (this.ctx.model.run.requests ?? []).filter((each) => !mask || all.reqs.has(each.req));
    if (!list.length) return null;
    const order = [...list]
      .sort((a, b) => b.failed - a.failed || (b.dur ?? Infinity) - (a.dur ?? Infinity))
      .slice(0, OVERVIEW_TOP);
    const failed = list.filter((each) => each.failed).length;
    const asked = order.some((each) => each.peer);
    const rows = order.map((each) => [
      this.filterLink(shownCut(each.name || '?', 80), `req=${each.req}`),
      each.error
        ? h('span', {class: 'badge bad'}, shownCut(each.error, 40))
        : each.status === null
          ? ''
          : h('span', {class: `badge ${each.failed ? 'bad' : ''}`}, String(each.status)),
      each.dur === null || !timed ? '' : ns(each.dur),
      ...(asked ? [each.peer ? shownCut(each.peer, 40) : ''] : []),
    ]);
    const note = `${count(list.length)}, ${failed ? count(failed) : 'none'} failed; those first, then what was slow.`;
    return this.card(
      'Requests',
      note,
      this.table(['Request', 'Answer', '-Took', ...(asked ? ['Asked by'] : [])], rows),
    );
  }

  peers({all}, mask) {
    const list = (this.ctx.model.run.exchanges ?? []).filter(
      (each) => !mask || mask[each.call] || all.reqs.has(each.req),
    );
    if (!list.length) return null;
    const groups = new Map();
    for (const each of list) {
      const group = groups.get(each.peer) ?? {
        peer: each.peer,
        kinds: new Set(),
        n: 0,
        failed: 0,
        longest: -1,
        sent: 0,
        received: 0,
      };
      group.n += 1;
      group.failed += each.failed ? 1 : 0;
      group.kinds.add(each.kind);
      group.longest = Math.max(group.longest, each.dur ?? -1);
      group.sent += each.sent;
      group.received += each.received;
      groups.set(each.peer, group);
    }
    const rows = [...groups.values()]
      .sort((a, b) => b.failed - a.failed || b.n - a.n)
      .slice(0, 40)
      .map((group) => [
        h('span', {class: 'mono'}, shownCut(group.peer || '?', 60)),
        [...group.kinds].map(shown).join(', '),
        count(group.n),
        group.failed ? h('span', {class: 'bad'}, count(group.failed)) : '',
        group.longest < 0 ? '' : ns(group.longest),
        bytes(group.sent),
        bytes(group.received),
      ]);
    return this.card(
      'Whom it talked to',
      '',
      this.table(['Peer', 'By', '-Times', '-Failed', '-Longest', '-Sent', '-Received'], rows),
    );
  }
}

function overviewBar(share, colour) {
  return h(
    'div',
    {class: 'track', 'aria-hidden': 'true'},
    h('div', {class: 'fill', style: {width: `${Math.max(1, share * 100)}%`, background: `var(${colour})`}}),
  );
}

export const overviewView = {
  id: 'overview',
  title: 'Overview',
  order: 10,
  has: (model) => Boolean(model.run),
  create: (ctx) => new Overview(ctx),
};
