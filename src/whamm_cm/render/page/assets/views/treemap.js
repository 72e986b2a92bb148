/** A treemap on canvas: nodes with `size`, `name`, `children`; what is too small to be seen is put together. */
import {bytes, count, percent, shown} from '../dom.js';
import {cssColour} from '../colours.js';

const TREEMAP_HEAD = 17;
/** Square pixels below which a node is part of "smaller ones", and how deep is drawn at once. */
const TREEMAP_SEEN = 14;
const TREEMAP_DEPTH = 7;

/**
 * `element` is the canvas.  `options`: `fill(node)` → [colour, colour of text], `pick(node)` after a choice,
 * `zoom(node)` to be asked to, `hover(node or null)`, `dim(node)` whether it is in the background now.
 */
export class Treemap {
  constructor(options) {
    this.options = options;
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'treemap';
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-roledescription', 'treemap');
    this.top = null;
    this.chosen = null;
    this.boxes = null;
    /** All but the frames, which change with every movement. */
    this.base = document.createElement('canvas');
    this.canvas.addEventListener('pointermove', (event) => this.move(event));
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.canvas.addEventListener('click', (event) => this.click(event));
    this.canvas.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw(true)).observe(this.canvas);
  }

  /** Shows `top` and what is in it; `chosen` is framed. */
  show(top, chosen) {
    this.top = top;
    this.chosen = chosen;
    const share = chosen && chosen !== top ? `, chosen: ${shown(chosen.name)}, ${bytes(chosen.size)}` : '';
    this.canvas.setAttribute('aria-label', `Sizes in ${shown(top.name)}, ${bytes(top.size)}${share}. Arrow keys`
      + ' choose, Enter goes in, Backspace out; the tree beside says the same as text.');
    this.draw(true);
  }

  layout(width, height) {
    const scale = (width * height) / Math.max(this.top.size, 1);
    const root = d3.hierarchy(treemapPruned(this.top, scale, 0), (each) => each.inner)
      .sum((each) => (each.inner ? 0 : each.size));
    d3.treemap().size([width, height]).paddingOuter(2).paddingInner(1).round(true)
      .paddingTop((each) => (treemapHeaded(each) ? TREEMAP_HEAD : 2))(root);
    this.boxes = root;
    this.byNode = new Map();
    root.each((box) => {
      if (!box.data.rest) this.byNode.set(box.data.node, box);
    });
  }

  /** `again`: not only the frames. */
  draw(again) {
    const {canvas, base, top} = this;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!top || !width || !height) return;
    const ratio = devicePixelRatio || 1;
    const wide = Math.round(width * ratio);
    const high = Math.round(height * ratio);
    if (again || canvas.width !== wide || canvas.height !== high) {
      canvas.width = base.width = wide;
      canvas.height = base.height = high;
      this.layout(width, height);
      this.paint(base.getContext('2d'), ratio);
    }
    const pen = canvas.getContext('2d');
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, wide, high);
    pen.drawImage(base, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.frame(pen, this.chosen, cssColour('--fg'), 2.5);
    this.frame(pen, this.pointed, cssColour('--accent'), 1.5);
  }

  paint(pen, ratio) {
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.textBaseline = 'middle';
    const ground = {panel: cssColour('--panel'), line: cssColour('--line'), bold: cssColour('--fg')};
    this.boxes.each((box) => this.box(pen, box, ground));
    pen.globalAlpha = 1;
  }

  box(pen, box, ground) {
    const {x0, y0, x1, y1} = box;
    const width = x1 - x0;
    const height = y1 - y0;
    if (width < 1 || height < 1) return;
    const {node, rest} = box.data;
    const faint = this.options.dim?.(node);
    pen.globalAlpha = 1;
    if (box.children) {
      pen.fillStyle = ground.panel;
      pen.fillRect(x0, y0, width, height);
      pen.strokeStyle = ground.line;
      pen.strokeRect(x0 + 0.5, y0 + 0.5, width - 1, height - 1);
      if (!treemapHeaded(box)) return;
      pen.globalAlpha = faint ? 0.6 : 1;
      treemapText(pen, shown(node.name), bytes(node.size), box, y0 + 9, ground.bold, 600);
      return;
    }
    const [fill, ink] = this.options.fill(node);
    pen.globalAlpha = faint ? 0.2 : rest ? 0.6 : 1;
    pen.fillStyle = fill;
    pen.fillRect(x0, y0, width, height);
    if (width < 26 || height < 12) return;
    pen.globalAlpha = faint ? 0.5 : 1;
    const two = height > 30 && width > 44;
    const middle = y0 + height / 2;
    treemapText(pen, rest ? `${count(rest)} smaller` : shown(node.name), '', box, two ? middle - 7 : middle,
      rest ? ground.bold : ink, 400);
    if (two) treemapText(pen, bytes(box.data.size), '', box, middle + 8, rest ? ground.bold : ink, 400);
  }

  frame(pen, node, colour, thick) {
    const box = node && this.boxOf(node);
    if (!box || box === this.boxes) return;
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.strokeRect(box.x0 + thick / 2, box.y0 + thick / 2, Math.max(box.x1 - box.x0 - thick, 1),
      Math.max(box.y1 - box.y0 - thick, 1));
    pen.lineWidth = 1;
  }

  /** The box of a node, or of the nearest one around it that is drawn. */
  boxOf(node) {
    for (let at = node; at; at = at.parent) {
      const box = this.byNode.get(at);
      if (box) return box;
    }
    return null;
  }

  at(event) {
    const area = this.canvas.getBoundingClientRect();
    const x = event.clientX - area.left;
    const y = event.clientY - area.top;
    let box = this.boxes;
    if (!box) return null;
    for (;;) {
      const inner = box.children?.find((each) => x >= each.x0 && x < each.x1 && y >= each.y0 && y < each.y1);
      if (!inner) return box.data.node;
      box = inner;
    }
  }

  move(event) {
    this.point(this.at(event));
  }

  point(node) {
    if (node === this.pointed) return;
    this.pointed = node;
    this.options.hover(node);
    this.draw(false);
  }

  /** The first click chooses, one more on the same goes in. */
  click(event) {
    const node = this.at(event);
    if (!node) return;
    if (node === this.chosen) this.enter(node);
    else this.options.pick(node);
  }

  enter(node) {
    const inner = node.children.length ? node : node.parent;
    if (inner && inner !== this.top) this.options.zoom(inner, node);
  }

  key(event) {
    const at = this.chosen ?? this.top;
    if (!at || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter') this.enter(at);
    else if (event.key === 'Backspace' && this.top.parent) this.options.zoom(this.top.parent, this.top);
    else {
      const next = treemapNext(event.key, at, this.top);
      if (next === undefined) return;
      if (next && next !== at) this.options.pick(next);
    }
    event.preventDefault();
  }
}

/** Where an arrow key goes; undefined for other keys. */
function treemapNext(key, at, top) {
  if (key === 'ArrowDown') return at.children[0] ?? at;
  if (key === 'ArrowUp') return at === top ? at : at.parent;
  const step = {ArrowRight: 1, ArrowLeft: -1}[key];
  if (step === undefined) return undefined;
  if (at === top || !at.parent) return at;
  const row = at.parent.children;
  return row[Math.min(Math.max(row.indexOf(at) + step, 0), row.length - 1)];
}

/** `{node, size, inner}` of what can be seen at `scale` square pixels a byte. */
function treemapPruned(node, scale, depth) {
  const size = Math.max(node.size, 1);
  if (!node.children.length || depth >= TREEMAP_DEPTH || size * scale < 600) return {node, size};
  const inner = [];
  let rest = 0;
  let few = 0;
  for (const each of node.children) {
    if (each.size * scale >= TREEMAP_SEEN) {
      inner.push(treemapPruned(each, scale, depth + 1));
    } else {
      rest += each.size;
      few += 1;
    }
  }
  if (!inner.length) return {node, size};
  if (rest) inner.push({node, size: rest, rest: few});
  return {node, size, inner};
}

function treemapHeaded(box) {
  return box.children !== undefined && box.x1 - box.x0 > 40 && box.y1 - box.y0 > 34;
}

/** `text` cut to the box, with `more` at its right if there is room. */
function treemapText(pen, text, more, box, y, ink, weight) {
  const room = box.x1 - box.x0 - 8;
  pen.font = `${weight} 11px system-ui, sans-serif`;
  pen.fillStyle = ink;
  let fits = text;
  if (pen.measureText(fits).width > room) {
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (pen.measureText(`${text.slice(0, middle)}…`).width <= room) low = middle;
      else high = middle - 1;
    }
    if (low < 2) return;
    fits = `${text.slice(0, low)}…`;
  }
  pen.fillText(fits, box.x0 + 4, y);
  if (!more || fits !== text) return;
  const wide = pen.measureText(text).width;
  pen.font = '400 11px system-ui, sans-serif';
  if (wide + pen.measureText(more).width + 10 < room) {
    pen.fillText(more, box.x1 - 4 - pen.measureText(more).width, y);
  }
}

/** `12.4 KiB, 3.1% of main`. */
export function treemapSays(node, top) {
  return top && top !== node ? `${bytes(node.size)}, ${percent(node.size, top.size)} of ${shown(top.name)}`
    : bytes(node.size);
}
