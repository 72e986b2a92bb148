/** What scripts reported: values, tables, histograms, heat maps, and what they printed. */
import {barsChart, brief, seriesChart} from '../charts.js';
import {isDark} from '../colours.js';
import {count, h, percent, shown} from '../dom.js';
import {heatTable} from './heat.js';
import {ReportsTable, reportsCompare, reportsText} from './report_table.js';

const REPORTS_SHOWN = 200;
/** Columns of a heat map; of more, neighbours are put together. */
const REPORTS_HEAT = 48;
const REPORTS_MATRIX = 40;

export const reportsView = {
  id: 'reports',
  title: 'Reports',
  order: 70,
  has: (model) => Boolean(model.reports) || Boolean(model.run?.prints?.length),
  create: (ctx) => new ReportsView(ctx),
};

class ReportsView {
  constructor(ctx) {
    this.ctx = ctx;
    const {values = [], variables = [], losses = ''} = ctx.model.reports ?? {};
    const prints = ctx.model.run?.prints ?? [];
    const names = variables.map((variable) => variable.name);
    this.parts = variables.map((variable, at) => {
      const again = names.indexOf(variable.name) < at ? `.${at}` : '';
      return new ReportsVariable(ctx, variable, at, `reports.${variable.name}${again}`);
    });
    this.prints = prints.length ? new ReportsPrints(prints) : null;
    this.find = h('input', {type: 'search', placeholder: 'Find in keys, places and prints',
      'aria-label': 'Find in reports', on: {input: () => ctx.set({'reports.find': this.find.value})}});
    const sections = [
      values.length ? h('section', {class: 'card', 'aria-labelledby': 'reports-values', id: 'reports-at-values'},
        h('h2', {id: 'reports-values'}, 'Values'), reportsValues(values)) : null,
      this.parts.map((part) => part.element),
      this.prints?.element,
    ];
    const index = reportsIndex(values, this.parts, prints, (id) => this.jump(id));
    this.scroller = h('div', {class: 'reports-all', tabindex: '0', role: 'region', 'aria-label': 'Reports'},
      losses ? h('p', {class: 'card warn reports-losses', role: 'note'}, `⚠ ${shown(losses)}`) : null, sections);
    this.element = h('div', {}, h('div', {class: 'reports-side'}, this.find, index), this.scroller);
  }

  jump(id) {
    this.ctx.set({'reports.at': id});
    this.reveal(id);
  }

  reveal(id) {
    const target = [...this.scroller.children].find((each) => each.id === `reports-at-${id}`);
    if (!target) return;
    const within = this.scroller.scrollHeight > this.scroller.clientHeight + 1 ? this.scroller : this.element;
    within.scrollTop += target.getBoundingClientRect().top - within.getBoundingClientRect().top - 8;
  }

  show(state) {
    const find = state['reports.find'] ?? '';
    if (this.find.value !== find) this.find.value = find;
    for (const part of this.parts) part.show(state, find.toLowerCase());
    this.prints?.show(find.toLowerCase());
    if (!this.revealed && state['reports.at']) requestAnimationFrame(() => this.reveal(state['reports.at']));
    this.revealed = true;
  }
}

function reportsIndex(values, parts, prints, jump) {
  const entries = [
    ...(values.length ? [['values', 'Values', values.length]] : []),
    ...parts.map((part) => [part.id, part.variable.name, part.size]),
    ...(prints.length ? [['prints', 'Prints', prints.length]] : []),
  ];
  const buttons = entries.map(([id, name, n]) => h('button',
    {class: 'plain', title: shown(name), on: {click: () => jump(id)}},
    h('span', {class: 'reports-name'}, shown(name)), h('span', {class: 'muted number'}, count(n))));
  return h('nav', {'aria-label': 'Reported variables', class: 'reports-index'},
    h('ul', {}, buttons.map((button) => h('li', {}, button))));
}

function reportsValues(values) {
  return h('dl', {class: 'reports-values'}, values.map((value) => h('div', {},
    h('dt', {class: 'mono', title: shown(value.name)}, shown(value.name)),
    h('dd', {},
      reportsBig(value),
      h('small', {class: 'muted'}, ` ${shown(value.type)}${value.note ? ` ${value.note}` : ''}`)))));
}

/** A number in large type; what an average is of in small type below. */
function reportsBig(value) {
  if (value.text === null) return h('span', {class: 'muted'}, 'unknown');
  const parts = value.type === 'avg' ? /^(\S+) \((.*)\)$/.exec(value.text) : null;
  if (!parts) return h('span', {class: value.text.length > 24 ? null : 'reports-big'}, reportsGrouped(value.text));
  return [h('span', {class: 'reports-big'}, parts[1]), h('span', {class: 'reports-of'}, parts[2])];
}

/** Digits in groups of three; any other text as it is. */
function reportsGrouped(text) {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text).toLocaleString('en-US') : shown(text);
}

/** One variable: its head, and its rows as a table, a chart or a heat map. */
class ReportsVariable {
  /** `state`: what its keys in the address begin with. */
  constructor(ctx, variable, at, state) {
    this.ctx = ctx;
    this.variable = variable;
    this.state = state;
    this.id = `v${at}`;
    this.size = variable.kind === 'tree' ? variable.nodes : variable.rows;
    this.forms = reportsForms(variable);
    this.body = h('div', {class: 'reports-body'});
    this.buttons = this.forms.map((form) => h('button', {on: {click: () => ctx.set({[this.key('as')]: form})}}, form));
    this.log = h('button', {title: 'Heights or colours by their logarithms', on: {click: () => {
      ctx.set({[this.key('log')]: this.isLog() ? null : '1'});
    }}}, 'Log');
    this.element = h('section', {class: 'card', id: `reports-at-${this.id}`, 'aria-labelledby': `reports-${this.id}`},
      h('div', {class: 'reports-head'},
        h('h2', {id: `reports-${this.id}`}, h('code', {}, shown(variable.name)), ' ',
          h('span', {class: 'muted mono reports-type'}, shown(variable.type))),
        h('div', {class: 'reports-forms', role: 'group', 'aria-label': `How ${shown(variable.name)} is shown`},
          this.buttons.length > 1 ? this.buttons : null, this.log)),
      h('p', {class: 'muted reports-common'}, reportsCommon(variable)),
      this.body,
      variable.rest.map((text) => h('p', {class: 'muted'}, shown(text))));
  }

  key(what) {
    return `${this.state}.${what}`;
  }

  isLog() {
    return this.ctx.state[this.key('log')] === '1';
  }

  /** Draws what has changed. */
  show(state, find) {
    const asked = state[this.key('as')];
    const form = this.forms.includes(asked) ? asked : this.forms[0];
    const sort = state[this.key('sort')] ?? '';
    const row = state[this.key('row')] ?? '';
    const drawn = JSON.stringify([form, this.isLog(), sort, row, find, isDark()]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.buttons.forEach((button, at) => button.setAttribute('aria-pressed', String(this.forms[at] === form)));
    this.log.setAttribute('aria-pressed', String(this.isLog()));
    this.log.hidden = form === 'Table' || form === 'Tree';
    this.body.replaceChildren(...[this.drawForm(form, find, sort, row)].flat().filter(Boolean));
  }

  drawForm(form, find, sort, row) {
    const {variable} = this;
    if (form === 'Tree') {
      return h('p', {}, `A call tree of ${count(variable.nodes)} nodes. `,
        this.ctx.model.trees ? h('a', {href: this.ctx.link({view: 'flame'})}, 'See the flame graph') : null);
    }
    if (!variable.rows) return h('p', {class: 'muted'}, 'Nothing was added to it.');
    if (form === 'Histogram') return this.drawHistogram(find, row);
    if (form === 'Heat map') return this.drawHeat(find, row);
    if (form === 'Matrix') return reportsMatrix(variable, this.isLog());
    if (form === 'Chart') return reportsChart(variable, this.isLog());
    this.table ??= new ReportsTable(this.ctx, variable, (to) => this.ctx.set({[this.key('sort')]: to}));
    return this.table.draw(sort, find);
  }

  /** One row's bars, or those of all rows together. */
  drawHistogram(find, row) {
    const {variable} = this;
    const chosen = row !== '' && Number(row) < variable.rows ? Number(row) : null;
    const rows = chosen === null ? [...variable.counts.keys()] : [chosen];
    const sums = reportsSums(variable, rows);
    const names = variable.buckets.map((_, i) => reportsBucket(variable, i));
    const name = chosen === null ? 'all rows together' : reportsRowName(variable, chosen);
    const chart = barsChart({
      label: `Histogram of ${shown(variable.name)}: ${reportsQuantiles(variable, sums, names)}`,
      names, short: variable.buckets.map(([, text]) => (/^-?\d+$/.test(text) ? brief(text) : text)),
      values: sums, log: this.isLog(),
    });
    const choose = (to) => this.ctx.set({[this.key('row')]: to});
    return [
      variable.rows > 1 ? reportsChoice(variable, row, choose) : null,
      h('p', {class: 'muted'}, variable.rows > 1 ? `${shown(name)}: ` : '', reportsQuantiles(variable, sums, names)),
      chart.element,
      reportsBuckets(names, sums),
    ];
  }

  drawHeat(find, row) {
    const {variable} = this;
    const wide = Math.ceil(variable.buckets.length / REPORTS_HEAT);
    const columns = [];
    for (let i = 0; i < variable.buckets.length; i += wide) {
      columns.push({short: brief(variable.buckets[i][1]), name: reportsBucket(variable, i)});
    }
    const rows = reportsMatching(variable, find).slice(0, REPORTS_SHOWN).map((at) => {
      const cells = new Map();
      for (const [bucket, n] of variable.counts[at]) {
        const column = Math.floor(bucket / wide);
        cells.set(column, (cells.get(column) ?? 0) + n);
      }
      return {name: reportsRowName(variable, at), cells, chosen: String(at) === row, choose: () => {
        this.ctx.set({[this.key('row')]: at, [this.key('as')]: 'Histogram'});
      }};
    });
    const left = variable.rows - rows.length;
    return [
      heatTable({label: `How many samples of ${shown(variable.name)} are in which bucket`,
        columns, rows, log: this.isLog()}),
      left > 0 ? h('p', {class: 'muted'}, `${count(left)} rows more`) : null,
    ];
  }
}

function reportsCommon(variable) {
  const parts = variable.common.map(([what, text]) => `${what} ${shown(text)}`);
  if (variable.note) parts.push(variable.note);
  return parts.join(' · ');
}

/** The ways to show a variable, the best first. */
function reportsForms(variable) {
  if (variable.kind === 'tree') return ['Tree'];
  if (variable.kind === 'hist') return variable.rows > 1 ? ['Heat map', 'Histogram'] : ['Histogram'];
  const forms = ['Table'];
  const keys = variable.columns.filter((column) => column.role !== 'value');
  const [value, ...more] = variable.columns.filter((column) => column.role === 'value');
  const number = value && value.type !== 'str' && !more.length;
  if (number && keys.length === 1 && reportsNumeric(keys[0]) && variable.rows > 2) forms.push('Chart');
  if (number && keys.length === 2 && keys.every((column) => reportsDistinct(column) <= REPORTS_MATRIX)) {
    if (variable.rows > 3) forms.push('Matrix');
  }
  return forms;
}

function reportsNumeric(column) {
  return column.role === 'key' && (column.type === 'int' || column.type === 'float');
}

function reportsDistinct(column) {
  return new Set(column.cells).size;
}

function reportsRowName(variable, row) {
  return variable.columns.map((column) => shown(reportsText(column, row))).join(' · ') || variable.name;
}

/** Rows in which the text is found, of all. */
function reportsMatching(variable, find) {
  const rows = [...variable.counts.keys()];
  return find ? rows.filter((row) => reportsRowName(variable, row).toLowerCase().includes(find)) : rows;
}

function reportsSums(variable, rows) {
  const sums = new Array(variable.buckets.length).fill(0);
  for (const row of rows) for (const [bucket, n] of variable.counts[row]) sums[bucket] += Number(n);
  return sums;
}

/** What is in a bucket: from the least to the greatest sample. */
function reportsBucket(variable, i) {
  const [low, name] = variable.buckets[i];
  if (!/^-?\d+$/.test(name) || /lhist/.test(variable.type)) return name;
  const least = BigInt(low);
  if (least === 0n || least === 1n || least === -1n) return name;
  const [from, to] = least > 0n ? [least, 2n * least - 1n] : [2n * least + 1n, least];
  return `${from.toLocaleString('en-US')} – ${to.toLocaleString('en-US')}`;
}

function reportsQuantiles(variable, sums, names) {
  const whole = sums.reduce((sum, n) => sum + n, 0);
  if (!whole) return 'no samples';
  const parts = [50, 90, 99].map((quantile) => {
    let rest = (whole * quantile) / 100;
    const at = sums.findIndex((n) => (rest -= n) <= 0);
    return `p${quantile} in ${names[at < 0 ? names.length - 1 : at]}`;
  });
  return `${count(whole)} samples, ${parts.join(', ')}`;
}

function reportsChoice(variable, row, set) {
  const rows = [...variable.counts.keys()].slice(0, 1000);
  const select = h('select', {on: {change: () => set(select.value)}},
    h('option', {value: ''}, 'all rows together'),
    rows.map((at) => h('option', {value: at}, shown(reportsRowName(variable, at)))));
  select.value = row;
  return h('label', {class: 'reports-choice'}, 'Row ', select);
}

function reportsBuckets(names, sums) {
  const whole = sums.reduce((sum, n) => sum + n, 0);
  return h('details', {}, h('summary', {}, 'As a table'), h('table', {},
    h('thead', {}, h('tr', {}, ['samples', 'count', 'share'].map((text, at) =>
      h('th', {scope: 'col', class: at ? 'number' : null}, text)))),
    h('tbody', {}, names.map((name, at) => h('tr', {}, h('td', {class: 'mono'}, shown(name)),
      h('td', {class: 'number'}, count(sums[at])), h('td', {class: 'number muted'}, percent(sums[at], whole)))))));
}

function reportsChart(variable, log) {
  const key = variable.columns.find((column) => column.role === 'key');
  const value = variable.columns.find((column) => column.role === 'value');
  const order = [...key.cells.keys()].filter((row) => Number.isFinite(Number(value.cells[row])))
    .sort((a, b) => reportsCompare(key, a, b));
  return seriesChart({
    label: `${shown(variable.name)} by its key, of ${count(order.length)} keys; the table has the numbers`,
    xs: order.map((row) => Number(key.cells[row])), ys: order.map((row) => Number(value.cells[row])), log, what: 'key',
  }).element;
}

/** Two keys: one down, one across. */
function reportsMatrix(variable, log) {
  const [down, across] = variable.columns.filter((column) => column.role !== 'value');
  const value = variable.columns.find((column) => column.role === 'value');
  const numbers = new Map();
  const columns = [];
  const rows = new Map();
  const order = [...across.cells.keys()].sort((a, b) => reportsCompare(across, a, b));
  for (const row of order) {
    const name = reportsText(across, row);
    if (numbers.has(name)) continue;
    numbers.set(name, columns.length);
    columns.push({short: name, name});
  }
  for (const row of value.cells.keys()) {
    const name = reportsText(down, row);
    if (!rows.has(name)) rows.set(name, {name, cells: new Map()});
    const {cells} = rows.get(name);
    const at = numbers.get(reportsText(across, row));
    cells.set(at, (cells.get(at) ?? 0) + Number(value.cells[row]));
  }
  return heatTable({label: `${shown(variable.name)}: ${down.name} down, ${across.name} across`, columns,
    rows: [...rows.values()], log});
}

/** Prints without an end of line of their own are one with what the same instance prints next. */
function reportsJoined(prints) {
  const found = [];
  const open = new Map();
  for (const {instance, text, raw} of prints) {
    const before = open.get(instance);
    if (before) before.text += text;
    const print = before ?? {instance, text};
    if (!before) found.push(print);
    if (raw && !text.endsWith('\n')) open.set(instance, print);
    else open.delete(instance);
  }
  return found;
}

/** What scripts printed, in order. */
class ReportsPrints {
  constructor(prints) {
    this.prints = reportsJoined(prints);
    this.limit = REPORTS_SHOWN;
    this.several = new Set(prints.map((print) => print.instance)).size > 1;
    this.list = h('ol', {class: 'reports-prints mono'});
    this.more = h('button', {on: {click: () => {
      this.limit *= 5;
      this.draw(this.find);
    }}});
    this.element = h('section', {class: 'card', id: 'reports-at-prints', 'aria-labelledby': 'reports-prints'},
      h('h2', {id: 'reports-prints'}, 'Prints'), this.list, this.more);
  }

  show(find) {
    if (find !== this.find) this.draw(find);
  }

  draw(find) {
    this.find = find;
    const chosen = [];
    for (const [at, print] of this.prints.entries()) {
      if (!find || print.text.toLowerCase().includes(find)) chosen.push([at, print]);
    }
    this.list.replaceChildren(...chosen.slice(0, this.limit).map(([at, print]) =>
      h('li', {value: at + 1}, this.several ? h('span', {class: 'badge'}, `instance ${print.instance}`) : null,
        h('span', {class: 'reports-print'}, print.text.replace(/\n$/, '').split('\n').map(shown).join('\n')))));
    const left = chosen.length - this.limit;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show more (${count(Math.max(left, 0))} left)`;
  }
}
