/** What happened in the chosen range: its functions, with how often and how long. */
import {count, h} from '../dom.js';
import {FAILED} from '../model.js';
import {timelineLength, timelineWhen} from './timeline_axis.js';

const TIMELINE_FUNCTIONS = 200;
const TIMELINE_COLUMNS = [
  ['name', 'Function'], ['calls', 'Calls'], ['failed', 'Failed'], ['time', 'In range'], ['mean', 'Mean'],
  ['longest', 'Longest'],
];

/** Of each function that ran in `range`: its calls of `mask`, and their time as far as it is in the range. */
export function timelineSums(layout, range, mask) {
  const {calls} = layout;
  const sums = new Map();
  for (let i = 0; i < layout.n; i += 1) {
    const start = calls.start[i];
    const end = start + calls.dur[i];
    if (end < range.from || start > range.to || (mask && !mask[i])) continue;
    const name = layout.sites[calls.site[i]];
    let row = sums.get(name);
    if (!row) {
      row = {name, calls: 0, failed: 0, time: 0, mean: 0, longest: 0, whole: 0, call: i};
      sums.set(name, row);
    }
    row.calls += 1;
    row.failed += calls.flags[i] & FAILED ? 1 : 0;
    row.time += Math.min(end, range.to) - Math.max(start, range.from);
    row.whole += calls.dur[i];
    if (calls.dur[i] >= row.longest) {
      row.longest = calls.dur[i];
      row.call = i;
    }
  }
  for (const row of sums.values()) row.mean = row.whole / row.calls;
  return [...sums.values()];
}

export class TimelineRange {
  /** @param {{zoom: () => void, clear: () => void, table: () => void, choose: (i: number) => void}} does */
  constructor(does) {
    this.does = does;
    this.sort = 'time';
    this.element = h('section', {class: 'range', 'aria-label': 'Chosen range', hidden: true});
    this.title = h('strong', {});
    this.body = h('tbody', {});
    this.heads = TIMELINE_COLUMNS.map(([key, title]) => h('th', {scope: 'col', class: key === 'name' ? '' : 'number'},
      h('button', {class: 'plain', on: {click: () => this._sortBy(key)}}, title)));
    this.element.append(
      h('div', {class: 'line'}, this.title,
        h('button', {on: {click: does.zoom}}, 'Zoom to it'),
        h('button', {on: {click: does.table}}, 'Its calls as a table'),
        h('button', {on: {click: does.clear}}, 'Clear')),
      h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Functions in the range'},
        h('table', {}, h('thead', {}, h('tr', {}, this.heads)), this.body)));
  }

  _sortBy(key) {
    this.sort = key;
    this._fill();
  }

  /** @param {{from: number, to: number}|null} range */
  show(layout, range, mask, timed) {
    this.element.hidden = !range;
    if (!range) return;
    this.timed = timed;
    this.rows = timelineSums(layout, range, mask);
    const calls = this.rows.reduce((sum, row) => sum + row.calls, 0);
    const failed = this.rows.reduce((sum, row) => sum + row.failed, 0);
    const length = timelineLength(range.to - range.from, timed);
    this.title.textContent = `${length} from ${timelineWhen(range.from, timed)}: ${count(calls)} `
      + `${calls === 1 ? 'call' : 'calls'}${failed ? `, ${count(failed)} failed` : ''}`;
    this._fill();
  }

  _fill() {
    const {sort} = this;
    const up = sort === 'name' ? 1 : -1;
    const by = (a, b) => (sort === 'name' ? a.name.localeCompare(b.name) : a[sort] - b[sort]);
    const rows = [...this.rows].sort((a, b) => up * by(a, b));
    TIMELINE_COLUMNS.forEach(([key, title], at) => {
      this.heads[at].firstChild.textContent = key === sort ? `${title} ${up > 0 ? '▴' : '▾'}` : title;
      this.heads[at].setAttribute('aria-sort', key !== sort ? 'none' : up > 0 ? 'ascending' : 'descending');
    });
    this.body.replaceChildren(...rows.slice(0, TIMELINE_FUNCTIONS).map((row) => this._row(row)));
    if (rows.length > TIMELINE_FUNCTIONS) {
      this.body.append(h('tr', {}, h('td', {class: 'muted', colspan: String(TIMELINE_COLUMNS.length)},
        `… ${count(rows.length - TIMELINE_FUNCTIONS)} more functions`)));
    }
  }

  _row(row) {
    const time = (n) => timelineLength(n, this.timed);
    const cell = (text, extra = '') => h('td', {class: `number ${extra}`}, text);
    return h('tr', {},
      h('td', {class: 'mono name'}, row.name),
      cell(count(row.calls)),
      cell(row.failed ? count(row.failed) : '', 'bad'),
      cell(time(row.time)),
      cell(time(row.mean)),
      h('td', {class: 'number'}, h('button', {
        class: 'plain', title: 'Show this call', on: {click: () => this.does.choose(row.call)},
      }, time(row.longest))));
  }
}
