/** Making elements, and texts that are safe and short.  What a guest can name is only ever text. */

/** What would act on a line or cannot be seen: controls, bidirectional marks, zero-width, lone surrogates. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
const BREAKS = {'\n': '\\n', '\r': '\\r', '\t': '\\t'};
const SVG = new Set(['svg', 'g', 'path', 'rect', 'line', 'text', 'circle', 'polygon', 'polyline', 'defs', 'marker',
  'tspan', 'ellipse', 'clipPath']);

/**
 * An element.  `props`: class, id, text, on: {click: listener}, style: {CSS property: value}, any other is an
 * attribute (true: without a value; null or false: left out).  Children: nodes, texts, lists of them, null.
 */
export function h(tag, props = null, ...children) {
  const element = SVG.has(tag)
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) domSet(element, name, value);
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

function domSet(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === 'class') {
    element.setAttribute('class', value);
  } else if (name === 'text') {
    element.textContent = value;
  } else if (name === 'on') {
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  } else if (name === 'style') {
    for (const [property, each] of Object.entries(value)) element.style.setProperty(property, each);
  } else if (/^on/i.test(name)) {
    throw new Error(`${name}: listeners are given under "on"`);
  } else if (/^(href|xlink:href|src|action|formaction)$/i.test(name) && !String(value).startsWith('#')) {
    throw new Error(`${name}: only places in this page`);
  } else {
    element.setAttribute(name, value === true ? '' : String(value));
  }
}

/** `text` with everything visible that would not be: `\u{202e}`. */
export function shown(text) {
  return String(text).replace(HIDDEN, (c) => BREAKS[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** At most `length` characters of it, `…` in the middle; of a text of megabytes, no more is looked at. */
export function cut(text, length) {
  if (text.length <= length) return text;
  const front = Math.ceil((length - 1) / 2);
  const back = length - 1 - front;
  const whole = text.length <= 2 * length;
  const all = [...(whole ? text : text.slice(0, 2 * front))];
  if (whole && all.length <= length) return text;
  const ends = whole ? all : [...text.slice(text.length - 2 * back)];
  return `${all.slice(0, front).join('')}…${ends.slice(ends.length - back).join('')}`;
}

/** `cut(shown(text), length)`, which takes as long as `length`. */
export function shownCut(text, length) {
  return cut(shown(cut(String(text), length)), length);
}

/** Nanoseconds as people read them, `1.24 ms`. */
export function ns(n) {
  if (n < 0 || !Number.isFinite(n)) return '?';
  if (n < 1000) return `${Math.round(n)} ns`;
  if (n < 1e6) return `${domThree(n / 1e3)} µs`;
  if (n < 1e9) return `${domThree(n / 1e6)} ms`;
  if (n < 120e9) return `${domThree(n / 1e9)} s`;
  return `${Math.floor(n / 60e9)} min ${Math.round((n % 60e9) / 1e9)} s`;
}

/** `1.2 KiB`. */
export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) {
    n /= 1024;
    at += 1;
  }
  return `${at ? domThree(n) : n} ${units[at]}`;
}

/** `1,234`. */
export function count(n) {
  return Number(n).toLocaleString('en-US');
}

/** `n` of `whole`, `12.5%`. */
export function percent(n, whole) {
  const share = whole ? (100 * n) / whole : 0;
  return `${share >= 99.95 || share === 0 ? Math.round(share) : share.toFixed(share < 0.1 ? 2 : 1)}%`;
}

function domThree(x) {
  return x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
}

/** Runs `f` once, before the next picture, however often it is asked for till then. */
export function soon(f) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      f();
    });
  };
}
