/** A table whose numbers have colours, for where many are beside and below each other. */
import {brief} from '../charts.js';
import {count, h, shown} from '../dom.js';

/** How much of the colour of `most` a number has, 0 to 1; what is not 0 is seen. */
export function heatOf(n, most, log = false) {
  if (!n || !most) return 0;
  const part = log ? Math.log1p(n) / Math.log1p(most) : n / most;
  return Math.max(part, 0.04);
}

/**
 * `columns`: {name, short}; `rows`: {name, cells: Map of column → number, choose (a listener, or none), chosen}.
 * The number stands in its cell, so that nothing is said by colour alone.
 */
export function heatTable({label, columns, rows, log}) {
  let most = 0;
  for (const {cells} of rows) for (const n of cells.values()) most = Math.max(most, n);
  const head = h('tr', {}, h('td', {}), columns.map(({name, short}) =>
    h('th', {scope: 'col', title: shown(name)}, h('span', {}, shown(short)))));
  const body = rows.map(({name, cells, choose, chosen}) => h('tr', {'aria-current': chosen ? 'true' : null},
    h('th', {scope: 'row', title: shown(name)}, choose
      ? h('button', {class: 'plain heat-name', on: {click: choose}}, shown(name))
      : h('span', {class: 'heat-name'}, shown(name))),
    columns.map((column, at) => heatCell(cells.get(at) ?? 0, most, log, `${shown(name)}, ${shown(column.name)}`))));
  return h('div', {class: 'heat-scroll', tabindex: '0', role: 'region', 'aria-label': label},
    h('table', {class: 'heat'}, h('caption', {class: 'unseen'}, label), h('thead', {}, head), h('tbody', {}, body)));
}

function heatCell(n, most, log, where) {
  if (!n) return h('td', {});
  const heat = heatOf(n, most, log).toFixed(3);
  return h('td', {style: {'--heat': heat}, title: `${where}: ${count(n)}`}, brief(n));
}
