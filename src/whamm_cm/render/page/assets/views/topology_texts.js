/** What the topology says in words: what is chosen, and all edges as a table. */
import {bytes, count, cut, h, ns, shown, shownCut} from '../dom.js';

const TOPOLOGY_FUNCTIONS = 40;
const TOPOLOGY_ROWS = 200;

function topologyName(view, at) {
  const node = view.model.nodes[at];
  return node.version ? `${node.name}@${node.version}` : node.name;
}

function topologyLink(view, at, length = 60) {
  const name = topologyName(view, at);
  return h('a', {href: view.ctx.link({'topology.at': `n${at}`}), title: shown(name), on: {
    pointerenter: () => view.hover(`n${at}`), pointerleave: () => view.hover(null),
    focus: () => view.hover(`n${at}`), blur: () => view.hover(null),
  }}, shownCut(name, length));
}

/** ` of app` behind an interface that a component implements. */
function topologyOf(view, at) {
  const owner = view.model.nodes[at].of;
  return owner === undefined ? null : [' of ', topologyLink(view, owner, 40)];
}

/** Cells of figures: calls, errors, time, bytes. */
function topologyCells(view, traffic) {
  if (!view.ctx.calls) return [h('td', {class: 'number'}, count(traffic.functions ?? 0))];
  const errors = traffic.errors ? `✗ ${count(traffic.errors)}` : '0';
  const cells = [h('td', {class: 'number'}, count(traffic.calls)),
    h('td', {class: traffic.errors ? 'number bad' : 'number'}, errors)];
  if (view.timed) cells.push(h('td', {class: 'number'}, traffic.time ? ns(traffic.time) : ''));
  cells.push(h('td', {class: 'number'}, traffic.bytes ? bytes(traffic.bytes) : ''));
  return cells;
}

function topologyHeads(view, ...first) {
  const heads = view.ctx.calls ? ['calls', 'errors', ...(view.timed ? ['time'] : []), 'bytes'] : ['functions'];
  return h('thead', {}, h('tr', {}, first.map((each) => h('th', {scope: 'col'}, each)),
    heads.map((each) => h('th', {scope: 'col', class: 'number'}, each))));
}

/** Whether an edge says anything that no other does: of an interface to who implements it only where
 * nobody else is known to have called it. */
function topologyIsShown(view, at) {
  const edge = view.model.edges[at];
  if (edge.way) return true;
  return !view.model.edges.some((each) => each.to === edge.from);
}

/** All edges, those with most of the metric first. */
export function topologyTable(view) {
  const order = view.model.edges.map((_, at) => at).filter((at) => topologyIsShown(view, at));
  const weight = (at) => view.now.edges[at][view.metric] ?? 0;
  order.sort((a, b) => weight(b) - weight(a) || a - b);
  const rows = order.slice(0, TOPOLOGY_ROWS).map((at) => {
    const {from, to} = view.model.edges[at];
    const own = view.chosen === `e${at}`;
    return h('tr', {class: own ? 'own' : '', on: {
      pointerenter: () => view.hover(`e${at}`), pointerleave: () => view.hover(null)}},
    h('td', {}, topologyLink(view, from)),
    h('td', {}, topologyLink(view, to), topologyOf(view, to)),
    topologyCells(view, view.now.edges[at]));
  });
  const left = order.length - rows.length;
  return h('details', {open: true}, h('summary', {}, h('h2', {}, `${count(order.length)} edges as a table`)),
    h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Edges'},
      h('table', {}, topologyHeads(view, 'from', 'to'), h('tbody', {}, rows))),
    left > 0 ? h('p', {class: 'muted'}, `${count(left)} more with less are not shown.`) : null);
}

/** What there is to say of what is chosen; of nothing, how to choose. */
export function topologyPanel(view, chosen) {
  const at = chosen === null ? -1 : Number(chosen.slice(1));
  if (chosen?.startsWith('n')) return topologyOfNode(view, at);
  if (chosen?.startsWith('e')) return topologyOfEdge(view, at);
  const many = (what, ...kinds) => {
    const found = view.model.nodes.filter((node) => kinds.includes(node.kind)).length;
    return found ? `${count(found)} ${what}${found === 1 ? '' : 's'}` : null;
  };
  const parts = [many('component', 'component'), many('interface', 'interface', 'host'), many('peer', 'peer')];
  return [
    h('h2', {}, 'Who talks to whom'),
    h('p', {}, parts.filter(Boolean).join(', ')),
    h('p', {class: 'muted'}, 'Calls go from left to right. Choose a box or an edge to see its functions. '
      + (view.now.whole ? '' : 'Figures are of the calls that the filter chooses.')),
    h('ul', {class: 'key'},
      h('li', {}, h('span', {class: 'mark used'}), `an edge: the thicker, the more ${view.metric}`),
      view.ctx.calls ? [h('li', {}, h('span', {class: 'mark failed'}), 'red: some calls failed (✗)'),
        h('li', {}, h('span', {class: 'mark unused'}), 'dotted: no calls')] : null),
  ];
}

function topologyOfNode(view, at) {
  const node = view.model.nodes[at];
  const name = shown(topologyName(view, at));
  const {into, out} = view.traffic.around(at, view.now);
  const rows = [];
  const row = (head, traffic) =>
    rows.push(h('tr', {}, h('th', {scope: 'row'}, head), topologyCells(view, traffic)));
  if (node.kind !== 'caller') row('in', node.kind === 'interface' && !into.calls ? out : into);
  if (node.kind === 'caller' || node.kind === 'component') row('out', out);
  const edges = [];
  for (const [index, edge] of view.model.edges.entries()) {
    const leads = node.kind === 'caller' || node.kind === 'interface';
    if (edge.to === at || (edge.from === at && leads)) edges.push(index);
  }
  return [
    h('p', {class: 'muted'}, topologyKind(node)),
    h('h2', {class: 'mono', title: name}, cut(name, 90)),
    topologyFiguresOf(view, h('span', {class: 'unseen'}, 'direction'), rows),
    node.of === undefined ? null : h('p', {}, 'Implemented by ', topologyLink(view, node.of)),
    node.kind === 'component' ? topologyModules(node) : null,
    topologyActions(view, node),
    topologyFunctions(view, edges),
  ];
}

function topologyFiguresOf(view, head, rows) {
  return h('table', {class: 'figures'}, topologyHeads(view, ...(head ? [head] : [])), h('tbody', {}, rows));
}

function topologyKind(node) {
  const kinds = {caller: 'Callers from outside', component: 'Component', interface: 'Interface of a component',
    host: 'Interface of the host', peer: 'Peer'};
  const many = node.instances ? ` · ${count(node.instances)} instance${node.instances === 1 ? '' : 's'}` : '';
  return kinds[node.kind] + many;
}

function topologyModules(node) {
  if (!node.modules) return null;
  const rows = node.modules.map(([name, size]) => h('tr', {},
    h('td', {class: 'mono', title: shown(name)}, shownCut(name, 40)),
    h('td', {class: 'number'}, bytes(size))));
  return h('table', {class: 'modules'}, h('caption', {}, 'Core modules'), h('tbody', {}, rows));
}

function topologyOfEdge(view, at) {
  const {from, to} = view.model.edges[at];
  const traffic = view.now.edges[at];
  return [
    h('h2', {}, topologyLink(view, from), ' → ', topologyLink(view, to)),
    topologyFiguresOf(view, null, h('tr', {}, topologyCells(view, traffic))),
    topologyActions(view, [from, to].map((each) => view.model.nodes[each])
      .find((node) => node.kind === 'interface' || node.kind === 'host')),
    topologyFunctions(view, [at]),
  ];
}

/** The filter that chooses an interface's calls; null where no set of functions says that. */
function topologyFilter(node) {
  const plain = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)+\/[a-z0-9/-]+$/;
  if (!node || (node.kind !== 'interface' && node.kind !== 'host') || !plain.test(node.name)) return null;
  return node.version && /^[0-9.]+$/.test(node.version) ? `${node.name}@=${node.version}` : node.name;
}

function topologyActions(view, node) {
  const q = topologyFilter(node);
  if (!view.ctx.calls || q === null) return null;
  return h('p', {class: 'actions'},
    h('button', {on: {click: () => view.ctx.set({q}, {push: true})}}, 'Filter by it'),
    h('button', {on: {click: () => view.ctx.go('table', {q})}}, 'Show its calls'));
}

/** What was called over these edges, and what was not. */
function topologyFunctions(view, edges) {
  const order = [...topologyCalled(view, edges)]
    .sort((a, b) => b[1][view.metric] - a[1][view.metric] || b[1].calls - a[1].calls);
  const func = (name) => name.slice(name.indexOf('#') + 1);
  const called = new Set(order.map(([name]) => func(name)));
  const known = new Set(edges.flatMap((edge) => view.model.edges[edge].functions));
  const silent = [...known].filter((name) => !called.has(name));
  const rows = order.slice(0, TOPOLOGY_FUNCTIONS).map(([name, row]) => h('tr', {},
    h('td', {class: 'mono', title: shown(name)}, shownCut(func(name), 44)), topologyCells(view, row)));
  return h('div', {},
    rows.length ? h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Functions'},
      h('table', {class: 'functions'}, topologyHeads(view, 'function'), h('tbody', {}, rows))) : null,
    order.length > rows.length ? h('p', {class: 'muted'}, `${count(order.length - rows.length)} more.`) : null,
    silent.length ? topologySilent(view, silent) : null);
}

/** Traffic by function of the sites whose calls go over these edges. */
function topologyCalled(view, edges) {
  const rows = new Map();
  for (const [key, found] of view.traffic.roles) {
    const traffic = view.now.sites.get(key);
    const site = view.ctx.model.run?.sites[key >> 1];
    if (!traffic || !site || !found.some((edge) => edges.includes(edge))) continue;
    // The two sides of a call are one call: the caller's record counts.
    if (key % 2 && edges.some((edge) => view.now.edges[edge].calls && view.model.edges[edge].way)) continue;
    const row = rows.get(site.name) ?? {calls: 0, errors: 0, open: 0, time: 0, self: 0, bytes: 0};
    for (const name of Object.keys(row)) row[name] += traffic[name];
    rows.set(site.name, row);
  }
  return rows;
}

function topologySilent(view, names) {
  const what = view.ctx.calls ? ' without calls' : '';
  const rows = names.slice(0, 200).map((name) => h('li', {class: 'mono'}, shownCut(name, 60)));
  return h('details', {open: !view.ctx.calls},
    h('summary', {}, `${count(names.length)} function${names.length === 1 ? '' : 's'}${what}`),
    h('ul', {class: 'silent'}, rows));
}
