/** Charts on uPlot: bars of a histogram, and a number over another one. */
import {count, h, shown} from './dom.js';
import {cssColour} from './colours.js';

const CHARTS_HEIGHT = 210;
/** Room for the numbers below. */
const CHARTS_BELOW = 28;
const CHARTS_CHARACTER = 7;

/** A number in few characters: `65.5k`; digits of a text are a number, too. */
export function brief(n) {
  const number = Number(n);
  if (!Number.isFinite(number)) return String(n);
  for (const [unit, letter] of [[1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(number) >= unit * (unit === 1e3 ? 10 : 1)) {
      return `${Number((number / unit).toPrecision(3))}${letter}`;
    }
  }
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(3)));
}

/**
 * The element of a chart and `draw()`, which draws it anew (the colours or the data have changed).
 * `options(width, say)`: those of uPlot; `data()`: its data; `label`: what it shows, in words.
 */
function chartsFrame(label, options, data) {
  const plot = h('div', {class: 'chart-plot'});
  const said = h('p', {class: 'chart-said mono'}, '\u00a0');
  const element = h('div', {class: 'chart'},
    h('div', {role: 'img', 'aria-label': label}, plot), said);
  let drawn = null;
  let width = 0;
  const say = (text) => {
    said.textContent = text || '\u00a0';
  };
  const draw = () => {
    if (!width) return;
    drawn?.destroy();
    drawn = new uPlot({width, height: CHARTS_HEIGHT, ...options(width, say)}, data(), plot);
  };
  new ResizeObserver(() => {
    const now = Math.floor(plot.clientWidth);
    if (now === width) return;
    width = now;
    draw();
  }).observe(plot);
  return {element, draw};
}

function chartsAxis(more) {
  const stroke = cssColour('--muted');
  const lines = {stroke: cssColour('--line'), width: 1};
  return {stroke, font: '12px system-ui, sans-serif', grid: lines, ticks: {...lines, size: 4}, ...more};
}

/** `log`: only powers of ten have lines. */
function chartsCounts(log) {
  const tens = (_, splits) => splits.map((n) => (Math.abs(Math.log10(n) % 1) < 1e-9 ? n : null));
  const only = log ? {filter: tens} : {};
  const lines = {stroke: cssColour('--line'), width: 1, ...only};
  const values = (_, splits) => splits.map((n) => (n === null ? '' : brief(n)));
  return chartsAxis({...only, grid: lines, ticks: {...lines, size: 4}, size: 52, values});
}

function chartsBars() {
  const stroke = cssColour('--accent');
  return {stroke, fill: `${stroke}99`, width: 1, points: {show: false}};
}

/** Each so many, that names of so many characters have room side by side. */
function chartsEvery(names, width) {
  const widest = Math.max(...names.map((name) => name.length)) + 2;
  return Math.max(1, Math.ceil((names.length * widest * CHARTS_CHARACTER) / Math.max(width - 60, 1)));
}

/**
 * Bars side by side.  `names` of the bars, `short` ones for the axis, `values`: how high they are;
 * `log`: heights are logarithms.
 */
export function barsChart({label, names, short, values, log}) {
  const whole = values.reduce((sum, value) => sum + value, 0);
  const most = Math.max(...values, 1);
  const at = values.map((_, i) => i);
  const heights = values.map((value) => (value || !log ? value : null));
  const options = (width, say) => {
    const every = chartsEvery(short, width);
    return {
      legend: {show: false},
      cursor: {y: false, points: {show: false}, drag: {x: false, y: false}},
      scales: {
        x: {time: false, range: () => [-0.6, values.length - 0.4]},
        y: {distr: log ? 3 : 1, range: () => (log ? [0.5, most * 1.5] : [0, most * 1.06])},
      },
      axes: [
        chartsAxis({
          grid: {show: false},
          size: CHARTS_BELOW,
          splits: () => at.filter((i) => i % every === 0),
          values: (_, splits) => splits.map((i) => short[i]),
        }),
        chartsCounts(log),
      ],
      series: [{}, {...chartsBars(), paths: uPlot.paths.bars({size: [0.9, 64]})}],
      hooks: {setCursor: [(u) => say(chartsSaid(u.cursor.idx, names, values, whole))]},
    };
  };
  return chartsFrame(label, options, () => [at, heights]);
}

function chartsSaid(at, names, values, whole) {
  if (at === null || at === undefined || values[at] === undefined) return '';
  const share = whole ? ` (${((100 * values[at]) / whole).toFixed(1)}%)` : '';
  return `${shown(names[at])}: ${count(values[at])}${share}`;
}

/** A number over another: bars, of many a line.  `xs` ascend; `what`: what they are. */
export function seriesChart({label, xs, ys, log, what}) {
  const few = xs.length <= 120;
  const least = Math.min(...ys, 0);
  const most = Math.max(...ys, 1);
  const heights = ys.map((y) => (y > 0 || !log ? y : null));
  const gap = xs.slice(1).reduce((gap_, x, i) => Math.min(gap_, x - xs[i]), Infinity);
  const edge = few && Number.isFinite(gap) ? gap / 2 : 0.5;
  const options = (width, say) => ({
    legend: {show: false},
    cursor: {y: false, drag: {x: true, y: false}},
    scales: {
      x: {time: false, auto: false, range: (_, from, to) => [from, to], min: xs[0] - edge,
        max: xs[xs.length - 1] + edge},
      y: {distr: log ? 3 : 1, range: () => (log ? [0.5, most * 1.5] : [least * 1.06, most * 1.06])},
    },
    axes: [
      chartsAxis({size: CHARTS_BELOW, values: (_, splits) => splits.map(brief), space: width < 500 ? 70 : 50}),
      chartsCounts(log),
    ],
    series: [{}, {...chartsBars(), paths: few ? uPlot.paths.bars({size: [0.9, 64]}) : undefined}],
    hooks: {setCursor: [({cursor: {idx}}) => {
      say(idx === null || idx === undefined ? '' : `${what} ${count(xs[idx])}: ${count(ys[idx])}`);
    }]},
  });
  return chartsFrame(label, options, () => [xs, heights]);
}
