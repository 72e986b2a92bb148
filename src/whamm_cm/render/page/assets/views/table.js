/** All calls as rows: only those in sight are there, so that a million costs as much as a hundred. */
import {bytes, count, h, ns, shown, soon} from '../dom.js';
import {siteTitle} from '../model.js';
import {strongColourOf} from '../colours.js';
import {orderBy} from '../order.js';
import {siteParts, statusOf, valueText} from './details.js';

/** No element may be as high as a million rows: beyond this, scrolling goes faster than the bar says. */
const TABLE_HEIGHT = 8e6;
const TABLE_STATUSES = ['ok', 'pending', 'never returned', 'cancelled', 'failed', 'denied'];
/** Columns: what they say, and by which whole number they are ordered. */
const TABLE_COLUMNS = [
  {id: 'at', title: '#', number: true, key: () => (i) => i},
  {
    id: 'start',
    title: 'Began',
    number: true,
    key:
      ({calls}) =>
      (i) =>
        calls.start[i],
  },
  {id: 'function', title: 'Function', key: ({calls}) => tableNameRank(calls)},
  {id: 'values', title: 'Arguments and result'},
  {
    id: 'took',
    title: 'Took',
    number: true,
    key:
      ({calls}) =>
      (i) =>
        calls.dur[i],
  },
  {
    id: 'self',
    title: 'Itself',
    number: true,
    key:
      ({calls}) =>
      (i) =>
        calls.self[i],
  },
  {
    id: 'bytes',
    title: 'Bytes',
    number: true,
    key:
      ({calls}) =>
      (i) =>
        calls.bytes[i],
  },
  {
    id: 'status',
    title: 'Status',
    key:
      ({calls}) =>
      (i) =>
        TABLE_STATUSES.indexOf(statusOf(calls, i)[0]),
  },
  {
    id: 'where',
    title: 'Where',
    key:
      ({calls}) =>
      (i) =>
        calls.req[i] * 65536 + Math.min(calls.instance[i], 65535),
  },
];

function tableNameRank(calls) {
  const {sites} = calls.run;
  const order = sites
    .map((_, number) => number)
    .sort((a, b) => {
      const [one, other] = [siteTitle(sites[a]), siteTitle(sites[b])];
      return one < other ? -1 : one > other ? 1 : 0;
    });
  const rank = new Uint32Array(sites.length);
  order.forEach((number, at) => {
    rank[number] = at;
  });
  return (i) => rank[calls.site[i]];
}

class TableView {
  constructor(ctx) {
    this.ctx = ctx;
    this.order = null;
    this.n = 0;
    this.cursor = 0;
    this.rows = [];
    this.first = -1;
    this.key = '';
    this.draw = soon(() => this.drawRows());
    this.heads = new Map();
    this.head = h(
      'div',
      {role: 'row', class: 'row head', 'aria-rowindex': 1},
      TABLE_COLUMNS.map((each) => this.headOf(each)),
    );
    this.rowsBox = h('div', {class: 'rows', role: 'rowgroup'});
    this.space = h('div', {class: 'space', role: 'presentation'}, this.rowsBox);
    this.grid = h(
      'div',
      {
        role: 'grid',
        class: 'grid',
        tabindex: '0',
        'aria-label': 'Calls',
        'aria-colcount': TABLE_COLUMNS.length,
        on: {scroll: () => this.draw(), keydown: (event) => this.keyed(event)},
      },
      h('div', {role: 'rowgroup', class: 'heads'}, this.head),
      this.space,
    );
    this.none = h('p', {class: 'empty', hidden: true}, 'No call fits the filter.');
    this.element = h('div', {}, this.grid, this.none);
  }

  headOf(column) {
    const what = column.key
      ? h(
          'button',
          {class: 'plain', on: {click: () => this.sortBy(column)}},
          column.title,
          h('span', {'aria-hidden': 'true', class: 'arrow'}),
        )
      : column.title;
    const cell = h('div', {role: 'columnheader', class: `c-${column.id}`}, what);
    this.heads.set(column.id, cell);
    return cell;
  }

  /** Once: the greatest first (a name: the first one); twice: the other way; then in the order of the log. */
  sortBy(column) {
    const [id, down] = this.sorting(this.ctx.state);
    const begin = column.number ? `-${column.id}` : column.id;
    const other = column.number ? column.id : `-${column.id}`;
    const now = `${down ? '-' : ''}${id}`;
    this.ctx.set({'table.sort': now === begin ? other : now === other ? null : begin}, {push: true});
  }

  sorting(state) {
    const wanted = state['table.sort'] ?? '';
    const id = wanted.replace(/^-/, '');
    return TABLE_COLUMNS.some((each) => each.id === id && each.key)
      ? [id, wanted.startsWith('-')]
      : ['', false];
  }

  get rowHeight() {
    return matchMedia('(max-width: 760px)').matches ? 44 : 26;
  }

  get viewHeight() {
    return Math.max(0, this.grid.clientHeight - this.head.offsetHeight);
  }

  show(state) {
    const {calls, progress} = this.ctx;
    const mask = this.ctx.selection();
    const [sort, down] = this.sorting(state);
    const key = JSON.stringify([
      calls.n,
      calls.version,
      state.q,
      state.t,
      progress < 1 ? '' : [sort, down],
    ]);
    if (key !== this.key || mask !== this.mask) {
      this.choose(mask, progress < 1 ? '' : sort, down);
      const again = this.key && JSON.parse(this.key).slice(3).join() !== JSON.parse(key).slice(3).join();
      [this.key, this.mask] = [key, mask];
      if (again) this.grid.scrollTop = this.cursor = 0;
    }
    for (const [id, cell] of this.heads) {
      cell.setAttribute('aria-sort', id !== sort ? 'none' : down ? 'descending' : 'ascending');
      if (!TABLE_COLUMNS.find((each) => each.id === id).key) cell.removeAttribute('aria-sort');
      const arrow = cell.querySelector('.arrow');
      if (arrow) arrow.textContent = id !== sort ? '' : down ? ' ▾' : ' ▴';
    }
    this.none.hidden = this.n > 0;
    this.grid.hidden = this.n === 0;
    this.grid.setAttribute('aria-rowcount', String(this.n + 1));
    this.follow(state);
    this.first = -1;
    this.drawRows();
  }

  /** Which calls are rows, in order; null: all of them as they are. */
  choose(mask, sort, down) {
    const {calls} = this.ctx;
    this.order = null;
    this.n = calls.n;
    if (mask) {
      const found = new Uint32Array(calls.n);
      let n = 0;
      for (let i = 0; i < mask.length; i += 1) if (mask[i]) found[n++] = i;
      this.order = found.slice(0, n);
      this.n = n;
    }
    if (!sort || (sort === 'at' && !down)) return;
    this.order ??= Uint32Array.from({length: calls.n}, (_, i) => i);
    orderBy(this.order, TABLE_COLUMNS.find((each) => each.id === sort).key({calls}), down);
  }

  call(row) {
    return this.order ? this.order[row] : row;
  }

  /** To the call that is chosen, where it is not in sight. */
  follow(state) {
    if (state.call === this.followed) return;
    if (!/^\d+$/.test(state.call ?? '')) {
      this.followed = state.call;
      return;
    }
    const i = Number(state.call);
    const row = this.order ? this.order.indexOf(i) : i;
    if (row < 0 || row >= this.n) return;
    this.followed = state.call;
    this.cursor = row;
    requestAnimationFrame(() => this.reveal());
  }

  /** The place of the first row in sight, in pixels of all rows. */
  get top() {
    const whole = this.n * this.rowHeight;
    if (whole <= TABLE_HEIGHT) return this.grid.scrollTop;
    return (this.grid.scrollTop / (TABLE_HEIGHT - this.viewHeight)) * (whole - this.viewHeight);
  }

  set top(value) {
    const whole = this.n * this.rowHeight;
    const scale = whole <= TABLE_HEIGHT ? 1 : (TABLE_HEIGHT - this.viewHeight) / (whole - this.viewHeight);
    this.grid.scrollTop = value * scale;
  }

  reveal() {
    const at = this.cursor * this.rowHeight;
    if (at < this.top) this.top = at;
    else if (at + this.rowHeight > this.top + this.viewHeight)
      this.top = at + this.rowHeight - this.viewHeight;
    this.draw();
  }

  drawRows() {
    const {rowHeight, viewHeight} = this;
    const whole = this.n * rowHeight;
    this.space.style.height = `${Math.min(whole, TABLE_HEIGHT)}px`;
    if (!viewHeight) return;
    const top = Math.max(0, Math.min(this.top, whole - viewHeight));
    const first = Math.floor(top / rowHeight);
    const wanted = Math.min(this.n - first, Math.ceil(viewHeight / rowHeight) + 1);
    while (this.rows.length < wanted) this.rows.push(this.makeRow());
    this.rows.forEach((row, k) => {
      row.element.hidden = k >= wanted;
      if (k >= wanted) return;
      row.element.style.transform = `translateY(${(first + k) * rowHeight - top}px)`;
      this.fill(row, first + k);
    });
    const at = this.cursor - first;
    if (at >= 0 && at < wanted) this.grid.setAttribute('aria-activedescendant', `row-${at}`);
    else this.grid.removeAttribute('aria-activedescendant');
    if (first === this.first) return;
    this.first = first;
    clearTimeout(this.timer);
    // Values are unpacked where somebody stays, not all along the way.
    this.timer = setTimeout(() => this.fillValues(), this.first < 0 ? 0 : 40);
  }

  makeRow() {
    const cells = Object.fromEntries(
      TABLE_COLUMNS.map(({id, number}) => [
        id,
        h('div', {role: 'gridcell', class: `c-${id}${number ? ' number' : ''}`}),
      ]),
    );
    const dot = h('span', {class: 'dot', 'aria-hidden': 'true'});
      const edge = h('span', {class: 'badge'});
    const name = h('span', {class: 'name'});
    const from = h('span', {class: 'muted'});
    const badge = h('span', {});
    cells.function.append(dot, edge, name, from);
    cells.status.append(badge);
    const row = {cells, dot, edge, name, from, badge, row: -1, call: -1};
    row.element = h(
      'div',
      {
        role: 'row',
        class: 'row',
        id: `row-${this.rows.length}`,
        on: {
          click: () => {
            this.cursor = row.row;
            this.ctx.choose(row.call);
            this.draw();
          },
        },
      },
      Object.values(cells),
    );
    this.rowsBox.append(row.element);
    return row;
  }

  fill(row, at) {
    const {calls, state} = this.ctx;
    const i = this.call(at);
    const {element, cells} = row;
    const chosen = String(i) === state.call;
    element.setAttribute('aria-selected', String(chosen));
    element.classList.toggle('cursor', at === this.cursor);
    element.setAttribute('aria-rowindex', String(at + 2));
    if (
      row.call === i &&
      row.row === at &&
      row.version === calls.version &&
      row.theme === document.documentElement.dataset.theme
    )
      return;
    Object.assign(row, {
      row: at,
      call: i,
      version: calls.version,
      theme: document.documentElement.dataset.theme,
    });
    const site = calls.siteOf(i);
    const {timed} = calls.run;
    const [status, kind] = statusOf(calls, i);
    cells.at.textContent = count(i + 1);
    cells.start.textContent = timed ? ns(calls.start[i]) : count(Math.round(calls.start[i] / 1000));
    row.dot.style.background = strongColourOf(site.interface || site.func);
    cells.function.style.paddingLeft = `${this.order ? 0 : Math.min(12, calls.depth[i]) * 12}px`;
    const [edge, func, from] = siteParts(site);
    row.edge.textContent = edge;
    row.edge.hidden = !edge;
    row.name.textContent = func;
    row.from.textContent = from;
    cells.function.title = shown(siteTitle(site));
    cells.took.textContent = calls.result[i] < 0 ? '' : ns(calls.result[i]);
    cells.self.textContent = calls.self[i] < 0 ? '' : ns(calls.self[i]);
    cells.bytes.textContent = calls.bytes[i] ? bytes(calls.bytes[i]) : '';
    row.badge.textContent = status === 'ok' ? '' : status;
    row.badge.className = status === 'ok' ? '' : `badge ${kind}`;
    cells.where.textContent = [
      calls.req[i] ? `req ${calls.req[i]}` : '',
      calls.task[i] ? `task ${calls.task[i]}` : '',
      calls.run.instances.length > 1 ? `inst ${calls.instance[i]}` : '',
    ]
      .filter(Boolean)
      .join(' · ');
    cells.values.textContent = '';
    row.valued = false;
  }

  async fillValues() {
    await Promise.all(
      this.rows.map(async (row) => {
        if (row.element.hidden || row.valued) return;
        const {call} = row;
        const found = await this.ctx.calls.values(call);
        if (row.call !== call || row.valued) return;
        row.valued = true;
        row.cells.values.textContent = tableValues(found);
      }),
    );
    this.grid.dataset.filled = String(this.first);
  }

  keyed(event) {
    if (event.target !== this.grid) return;
    const page = Math.max(1, Math.floor(this.viewHeight / this.rowHeight) - 1);
    const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.n, End: this.n};
    if (event.key in steps) {
      this.cursor = Math.max(0, Math.min(this.n - 1, this.cursor + steps[event.key]));
      this.reveal();
    } else if (event.key === 'Enter' || event.key === ' ') {
      this.ctx.choose(this.call(this.cursor));
    } else {
      return;
    }
    event.preventDefault();
  }

  resized() {
    this.first = -1;
    this.draw();
  }
}

/** `(key: "k") → ok(3)`. */
function tableValues({args, result, data, about, self}) {
  const parts = Object.entries(args ?? {}).map(([name, value]) => `${shown(name)}: ${valueText(value, 60)}`);
  const on = about ? `${shown(about)} ` : self !== undefined ? `#${self} ` : '';
  const came = result !== undefined ? ` → ${valueText(result, 80)}` : '';
  const moved = data !== undefined ? ` ${valueText(data, 60)}` : '';
  return `${on}${parts.length ? `(${parts.join(', ')})` : ''}${came}${moved}`;
}

export const tableView = {
  id: 'table',
  title: 'Calls',
  order: 40,
  has: (model) => Boolean(model.run && model.run.calls),
  create: (ctx) => new TableView(ctx),
  keys: [
    ['↑ ↓ PgUp PgDn', 'along the table of calls'],
    ['Enter', 'all about the call'],
  ],
};
