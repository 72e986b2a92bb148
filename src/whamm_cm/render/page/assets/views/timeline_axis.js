/** The axis of the timeline with its marks, and the small picture of the whole run. */
import {ns} from '../dom.js';

const TIMELINE_UNITS = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']];

/** How a place on the axis is said: time since the first record, or the number of a record. */
export function timelineWhen(at, timed) {
  return timed ? ns(at) : `record ${Math.round(at / 1000)}`;
}

/** How a length is said. */
export function timelineLength(length, timed) {
  return timed ? ns(length) : `${Math.round(length / 1000)} records`;
}

/** The least of 1, 2, 5, 10 … that is `least` or more. */
export function timelineStep(least) {
  const ten = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)));
  for (const factor of [1, 2, 5]) if (ten * factor >= least) return ten * factor;
  return ten * 10;
}

/**
 * Marks of what is in view, about one in `every` pixels: `{at, label}`, and `base`, from which the labels count
 * where whole times would be too long to be read ('' where they are not).
 */
export function timelineTicks({from, to, width}, timed, every = 110) {
  const step = Math.max(timed ? 1 : 1000, timelineStep(((to - from) / width) * every));
  const first = Math.ceil(from / step) * step;
  const [size, unit] = timed ? TIMELINE_UNITS.find(([each]) => Math.abs(to) >= each) ?? [1, 'ns'] : [1000, ''];
  const decimals = Math.max(0, Math.ceil(Math.log10(size / step) - 1e-9));
  const far = timed && decimals > 4;
  const coarse = far ? timelineStep(step * 20) : 0;
  const base = far ? Math.floor(from / coarse) * coarse : 0;
  const marks = [];
  for (let at = first, n = 0; at <= to && n < 200; n += 1, at = first + n * step) {
    const label = far ? `+${timelineShort(at - base)}` : `${(at / size).toFixed(decimals)}${unit ? ` ${unit}` : ''}`;
    marks.push({at, label});
  }
  const places = far ? Math.max(0, Math.ceil(Math.log10(size / coarse) - 1e-9)) : 0;
  return {marks, step, base: far ? `${(base / size).toFixed(places)} ${unit}` : ''};
}

function timelineShort(at) {
  const [size, unit] = TIMELINE_UNITS.find(([each]) => at >= each) ?? [1, 'ns'];
  return `${Number((at / size).toPrecision(6))} ${unit}`;
}

/** A canvas in the size of its element, cleared; null where it has no size. */
export function timelineSurface(canvas) {
  const {clientWidth: width, clientHeight: height} = canvas;
  if (!width || !height) return null;
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const g = canvas.getContext('2d');
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return {g, width, height};
}

/** Draws the axis above the lanes; `map` is theirs. */
export function timelineDrawAxis(canvas, map, timed, range, cursor) {
  const surface = timelineSurface(canvas);
  if (!surface) return;
  const {g, width, height} = surface;
  const {marks, base} = timelineTicks(map, timed);
  g.font = '11px system-ui, sans-serif';
  g.textBaseline = 'middle';
  if (range) {
    g.fillStyle = map.css('--accent-bg');
    g.fillRect(map.x(range.from), 0, map.x(range.to) - map.x(range.from), height);
  }
  g.fillStyle = map.css('--muted');
  const left = base ? g.measureText(base).width + 14 : 0;
  const box = range && timelineRangeBox(g, map, timed, range);
  for (const {at, label} of marks) {
    const x = map.x(at);
    g.fillRect(Math.round(x), height - 6, 1, 6);
    const covered = box && x + 4 + g.measureText(label).width > box.left && x < box.right;
    if (x >= left && x < width - 10 && !covered) g.fillText(label, x + 4, height / 2 - 1);
  }
  if (base) {
    g.fillStyle = map.css('--fg');
    g.fillText(base, 5, height / 2 - 1);
  }
  if (range) timelineDrawRange(g, map, range, box, height);
  if (cursor !== null) timelineDrawCursor(g, map, timed, cursor, width, height);
}

/** Where the length of the range is written: in its middle, as far as that is in view; null: it has no room. */
function timelineRangeBox(g, map, timed, range) {
  const text = timelineLength(range.to - range.from, timed);
  const wide = g.measureText(text).width + 8;
  const left = Math.max(map.x(range.from), 0);
  const right = Math.min(map.x(range.to), map.width);
  if (right - left < wide) return null;
  const start = (left + right - wide) / 2;
  return {text, left: start, right: start + wide};
}

function timelineDrawRange(g, map, range, box, height) {
  g.fillStyle = map.css('--accent');
  g.fillRect(map.x(range.from), 0, 1.5, height);
  g.fillRect(map.x(range.to) - 1.5, 0, 1.5, height);
  if (box) g.fillText(box.text, box.left + 4, height / 2 - 1);
}

function timelineDrawCursor(g, map, timed, cursor, width, height) {
  const text = timelineWhen(cursor, timed);
  const wide = g.measureText(text).width + 8;
  const x = Math.min(Math.max(map.x(cursor) - wide / 2, 0), width - wide);
  g.fillStyle = map.css('--fg');
  g.fillRect(x, 2, wide, height - 4);
  g.fillStyle = map.css('--bg');
  g.fillText(text, x + 4, height / 2);
}

/** How many calls begin in each of `columns` parts of the run, and how many of them failed. */
export function timelineDensity(layout, {min, max}, columns) {
  const all = new Uint32Array(columns);
  const failed = new Uint32Array(columns);
  for (let i = 0; i < layout.n; i += 1) {
    const at = Math.min(columns - 1, Math.max(0, Math.floor(((layout.x0[i] - min) / (max - min)) * columns)));
    all[at] += 1;
    if (layout.flag[i] & 1) failed[at] += 1;
  }
  return {all, failed, most: all.reduce((a, b) => Math.max(a, b), 1)};
}

/** Draws the whole run, with what is in view left clear. */
export function timelineDrawMap(canvas, density, {view, bounds, range}, css) {
  const surface = timelineSurface(canvas);
  if (!surface) return;
  const {g, width, height} = surface;
  const columns = density.all.length;
  const step = width / columns;
  const tall = (n) => (n ? 3 + Math.sqrt(n / density.most) * (height - 10) : 0);
  for (let c = 0; c < columns; c += 1) {
    const high = tall(density.all[c]);
    g.fillStyle = css('--strong');
    g.fillRect(c * step, height - high, Math.max(step, 1), high);
    if (!density.failed[c]) continue;
    g.fillStyle = css('--bad');
    g.fillRect(c * step, 2, Math.max(step, 2), 4);
  }
  const place = (at) => ((at - bounds.min) / (bounds.max - bounds.min)) * width;
  timelineDrawWindow(g, view, range, place, width, height, css);
}

function timelineDrawWindow(g, view, range, place, width, height, css) {
  const left = place(view.from);
  const right = Math.max(left + 3, place(view.to));
  if (range) {
    g.fillStyle = css('--accent');
    g.globalAlpha = 0.25;
    g.fillRect(place(range.from), 0, Math.max(2, place(range.to) - place(range.from)), height);
    g.globalAlpha = 1;
  }
  g.fillStyle = css('--bg');
  g.globalAlpha = 0.65;
  g.fillRect(0, 0, left, height);
  g.fillRect(right, 0, width - right, height);
  g.globalAlpha = 1;
  g.strokeStyle = css('--accent');
  g.lineWidth = 2;
  g.strokeRect(left + 1, 1, right - left - 2, height - 2);
  g.fillStyle = css('--accent');
  for (const x of [left, right - 4]) g.fillRect(x, height / 2 - 7, 4, 14);
}
