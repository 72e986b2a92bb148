/** The rows of a reported variable as a table that can be sorted and searched. */
import {count, h, shown} from '../dom.js';

const REPORTS_FIRST = 100;

/** A cell as text, not yet made visible. */
export function reportsText(column, row) {
  const cell = column.cells[row];
  if (cell === null) return '';
  if (column.texts) return column.texts[cell];
  if (column.type === 'int') return typeof cell === 'string' ? BigInt(cell).toLocaleString('en-US') : count(cell);
  if (column.name === 'average') return String(Number(cell.toPrecision(6)));
  return String(cell);
}

/** The order of two rows by a column; rows without a value are the last of an ascending order. */
export function reportsCompare(column, a, b) {
  const [one, two] = [column.cells[a], column.cells[b]];
  if (one === null || two === null) return (one === null) - (two === null);
  if (column.texts) {
    const [first, second] = [column.texts[one], column.texts[two]];
    return first < second ? -1 : Number(first > second);
  }
  const difference = Number(one) - Number(two);
  if (difference) return difference;
  if (column.type !== 'int' || one === two) return Number.isNaN(difference) ? String(one) < String(two) ? -1 : 1 : 0;
  return BigInt(one) < BigInt(two) ? -1 : Number(BigInt(one) > BigInt(two));
}

/** `sorted(to)`: the order is to be `column-`, the greatest first, or `column+`; "" is that of the model. */
export class ReportsTable {
  constructor(ctx, variable, sorted) {
    this.ctx = ctx;
    this.variable = variable;
    this.sorted = sorted;
    this.name = shown(variable.name);
    this.limit = REPORTS_FIRST;
    this.unknown = new Set(variable.unknown);
    this.bar = variable.columns.find((column) => column.role === 'value' && column.type === 'int');
    const numbers = (this.bar?.cells ?? []).map(Number);
    this.most = numbers.reduce((most, n) => Math.max(most, n), 0);
    this.sum = numbers.every((n) => n >= 0) ? numbers.reduce((sum, n) => sum + n, 0) : 0;
  }

  draw(sort, find) {
    const {columns} = this.variable;
    const at = Number.parseInt(sort, 10);
    const down = sort.endsWith('-');
    const rows = this.chosen(find);
    if (columns[at]) rows.sort((a, b) => reportsCompare(columns[at], down ? b : a, down ? a : b));
    const body = h('tbody', {}, rows.slice(0, this.limit).map((row) => this.row(row)));
    const more = h('button', {}, '');
    const left = () => {
      more.hidden = rows.length <= body.childElementCount;
      more.textContent = `Show more (${count(rows.length - body.childElementCount)} left)`;
    };
    more.addEventListener('click', () => {
      const from = body.childElementCount;
      this.limit = from + 5 * REPORTS_FIRST;
      body.append(...rows.slice(from, this.limit).map((row) => this.row(row)));
      left();
    });
    left();
    const head = h('tr', {}, columns.map((column, i) => this.header(column, i, at === i ? (down ? '-' : '+') : '')));
    return [
      find ? h('p', {class: 'muted'}, `${count(rows.length)} of ${count(this.variable.rows)} rows`) : null,
      h('div', {class: 'reports-scroll', tabindex: '0', role: 'region', 'aria-label': `Rows of ${this.name}`},
        h('table', {class: `reports-table${columns.length > 2 ? '' : ' reports-narrow'}`}, h('thead', {}, head), body)),
      more,
    ];
  }

  chosen(find) {
    const rows = [...Array(this.variable.rows).keys()];
    if (!find) return rows;
    const searched = this.variable.columns.filter((column) => column.role !== 'value');
    return rows.filter((row) => searched.some((column) => reportsText(column, row).toLowerCase().includes(find)));
  }

  header(column, i, order) {
    const number = column.type !== 'str' && column.type !== 'bool';
    const next = order === '-' ? `${i}+` : order === '+' ? null : `${i}${number ? '-' : '+'}`;
    const sort = {'+': 'ascending', '-': 'descending'}[order] ?? 'none';
    return h('th', {scope: 'col', 'aria-sort': sort, class: number ? 'number' : null},
      h('button', {class: 'plain', on: {click: () => this.sorted(next)}},
        column.name, h('span', {'aria-hidden': 'true'}, {'+': ' ▲', '-': ' ▼'}[order] ?? '')));
  }

  row(row) {
    return h('tr', {}, this.variable.columns.map((column) => {
      if (column.role === 'value' && this.unknown.has(row)) return h('td', {class: 'muted'}, 'unknown');
      const text = reportsText(column, row);
      const number = column.type !== 'str' && column.type !== 'bool';
      if (column === this.bar) return this.barCell(column, row, text);
      const link = column.name === 'source' ? this.toSource(text) : null;
      return h('td', {class: `${number ? 'number' : 'reports-text'}`, title: shown(text)}, link ?? shown(text));
    }));
  }

  /** A number before a bar as long as its part of the greatest. */
  barCell(column, row, text) {
    const n = Math.max(Number(column.cells[row]) || 0, 0);
    const share = this.sum ? ` (${((100 * n) / this.sum).toFixed(1)}% of all)` : '';
    return h('td', {class: 'number reports-bar', title: `${text}${share}`,
      style: {'--part': this.most ? (n / this.most).toFixed(4) : '0'}}, text);
  }

  toSource(text) {
    const match = /^(.*):(\d+)$/.exec(text);
    if (!match || !this.ctx.model.sources) return null;
    const file = this.ctx.model.sources.files.find(({path}) => path === match[1] || path.endsWith(`/${match[1]}`));
    if (!file) return null;
    const place = {'source.file': file.path, 'source.line': match[2]};
    return h('a', {href: this.ctx.link({...place, view: 'source'}), on: {click: (event) => {
      event.preventDefault();
      this.ctx.go('source', place);
    }}}, shown(text));
  }
}
