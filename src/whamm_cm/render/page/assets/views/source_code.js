/** The text of a file with what was counted beside it; blocks of lines are made when they are near. */
import {brief} from '../charts.js';
import {h, shown} from '../dom.js';
import {Highlighter} from '../highlight.js';
import {sourceLeaf, sourceLink, sourceNumber} from './source_model.js';

const SOURCE_BLOCK = 100;
/** As in source.css. */
const SOURCE_LINE = 24;
/** Characters of a count; greater ones are in short. */
const SOURCE_WIDEST = 9;
const SOURCE_TAB = 4;
/** Characters of a line that are shown; the others can be asked for. */
const SOURCE_LONGEST = 1000;

export class SourceCode {
  constructor(ctx, model) {
    this.ctx = ctx;
    this.model = model;
    this.element = h('div', {class: 'source-code mono', tabindex: '0', role: 'region', 'aria-label': 'Source text'});
    this.watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) this.fill(entry.target);
    }, {root: this.element, rootMargin: '600px'});
  }

  /** Shows a file by a metric; `heat` is that of all files. */
  open(file, metric, heat) {
    this.file = file;
    this.metric = metric;
    this.heat = heat;
    this.found = heat.files.get(file);
    this.numbers = new Map(file.lines.map((line, at) => [line, file.values[metric][at]]));
    /** Numbers of the lines that have a row; without a text those that have code. */
    this.rows = file.text ? null : file.lines.filter((_, at) => file.values[metric][at] !== null);
    this.copies = new Map();
    if (this.model.metrics[metric].what !== 'sum') {
      for (const [line, place, n] of file.copies) {
        if (!this.copies.has(line)) this.copies.set(line, []);
        this.copies.get(line).push([place, n]);
      }
    }
    this.names = new Map(file.functions.map(([line, name]) => [line, name]));
    this.inside = null;
    this.current = null;
    this.watcher.disconnect();
    this.element.setAttribute('aria-label', `Source text of ${shown(file.path)}`);
    const digits = String(file.text ? file.text.length : file.lines[file.lines.length - 1] ?? 0).length;
    this.element.style.setProperty('--digits', `${digits + 1}ch`);
    const blocks = [];
    for (let row = 0; row < this.lineCount(); row += SOURCE_BLOCK) {
      const high = Math.min(SOURCE_BLOCK, this.lineCount() - row) * SOURCE_LINE;
      blocks.push(h('div', {class: 'source-block', 'data-row': row, style: {'min-height': `${high}px`}}));
    }
    this.element.replaceChildren(...blocks);
    this.element.scrollTop = 0;
    if (blocks.length) this.fill(blocks[0]);
    for (const block of blocks) this.watcher.observe(block);
  }

  lineCount() {
    return this.rows ? this.rows.length : this.file.text.length;
  }

  /** The row that a line is in, from 1. */
  rowOf(line) {
    return this.rows ? this.rows.indexOf(line) + 1 : line;
  }

  /** Scrolls to a line and marks it. */
  reveal(line) {
    const row = this.rowOf(line) - 1;
    const block = this.element.children[Math.floor(row / SOURCE_BLOCK)];
    if (row < 0 || !block) return;
    this.fill(block);
    this.current?.removeAttribute('aria-current');
    this.current = [...block.children].find((each) => each.dataset.line === String(line)) ?? null;
    if (!this.current) return;
    this.current.setAttribute('aria-current', 'true');
    const box = this.element;
    const top = this.current.getBoundingClientRect().top - box.getBoundingClientRect().top;
    if (top < 0 || top > box.clientHeight - 3 * SOURCE_LINE) box.scrollTop += top - box.clientHeight / 3;
  }

  fill(block) {
    if (block.childElementCount) return;
    this.watcher.unobserve(block);
    const first = Number(block.dataset.row);
    const last = Math.min(first + SOURCE_BLOCK, this.lineCount());
    const words = this.file.text ? new Highlighter(this.file.path, this.insideAt(first)) : null;
    for (let row = first; row < last; row += 1) {
      const line = this.rows ? this.rows[row] : row + 1;
      block.append(this.row(line, words));
    }
  }

  /** Whether a comment goes on from the line before a row at which a block begins. */
  insideAt(row) {
    if (!this.inside) {
      this.inside = [];
      const words = new Highlighter(this.file.path);
      this.file.text.forEach((text, at) => {
        if (at % SOURCE_BLOCK === 0) this.inside.push(words.inside);
        words.line(text);
      });
    }
    return this.inside[row / SOURCE_BLOCK];
  }

  row(line, words) {
    const value = this.numbers.get(line) ?? null;
    const copies = this.copies.get(line);
    const more = h('span', {class: 'source-more'});
    const row = h('div', {class: `source-row ${sourceState(value)}`, 'data-line': line, style: value ? {
      '--heat': this.heat.of(value === '?' ? 0 : Number(value)).toFixed(3)} : null},
    h('a', {class: 'source-number', ...sourceLink(this.ctx, this.file.path, line), tabindex: '-1'}, String(line)),
    h('span', {class: 'source-count', title: sourceTitle(value)}, this.counted(value)), more, this.text(line, words));
    if (copies) {
      more.append(h('button', {class: 'plain', title: `put in place of calls in ${copies.length} places`,
        'aria-label': `line ${line}: where it was put in place of calls`, 'aria-expanded': 'false',
        on: {click: (event) => this.toggle(event.currentTarget, row, copies)}}, '↳'));
    }
    return row;
  }

  /** What stands for a number: of what was only covered a tick or a cross. */
  counted(value) {
    if (value === null) return '';
    if (value === '?') return '?';
    if (this.model.metrics[this.metric].what === 'covered') return Number(value) ? '✓' : '✗';
    const text = sourceNumber(value);
    return text.length > SOURCE_WIDEST ? brief(value) : text;
  }

  text(line, words) {
    if (!words) return h('span', {class: 'source-text muted'}, shown(this.names.get(line) ?? ''));
    const whole = sourceTabs(this.file.text[line - 1].replace(/\r$/, ''));
    const parts = words.line(whole);
    if (whole.length <= SOURCE_LONGEST) return h('span', {class: 'source-text'}, sourceParts(parts));
    const rest = h('button', {on: {click: () => rest.replaceWith(shown(whole.slice(SOURCE_LONGEST)))}},
      `${whole.length - SOURCE_LONGEST} characters more`);
    return h('span', {class: 'source-text'}, shown(whole.slice(0, SOURCE_LONGEST)), rest);
  }

  toggle(button, row, copies) {
    const open = button.getAttribute('aria-expanded') === 'true';
    button.setAttribute('aria-expanded', String(!open));
    if (open) row.nextElementSibling.remove();
    else row.after(this.places(copies));
  }

  /** The calls that the code of a line was put in place of. */
  places(copies) {
    return h('ul', {class: 'source-places'}, copies.map(([number, n]) => {
      const {frames, in: around} = this.model.places[number];
      return h('li', {}, h('b', {class: 'number'}, sourceNumber(n)), ' ', frames.map(([name, path, line], at) => [
        at ? ' ← ' : '', h('code', {}, shown(name || '?')), ' at ', this.place(path, line),
      ]), around ? [' in ', h('code', {}, shown(around))] : null);
    }));
  }

  place(path, line) {
    const text = line ? `${sourceLeaf(path)}:${line}` : sourceLeaf(path);
    if (!this.model.files.some((file) => file.path === path)) return h('span', {title: shown(path)}, shown(text));
    return h('a', {...sourceLink(this.ctx, path, line || null), title: shown(path)}, shown(text));
  }
}

/** A number that has no room in its column. */
function sourceTitle(value) {
  if (value === null || value === '?') return null;
  const text = sourceNumber(value);
  return text.length > SOURCE_WIDEST ? text : null;
}

function sourceState(value) {
  if (value === null) return '';
  if (value === '?') return 'source-unknown';
  return Number(value) ? 'source-hit' : 'source-missed';
}

function sourceParts(parts) {
  return parts.map(([kind, text]) => (kind ? h('span', {class: `source-is-${kind}`}, shown(text)) : shown(text)));
}

/** Tabs become blanks up to the next stop. */
function sourceTabs(text) {
  if (!text.includes('\t')) return text;
  let found = '';
  for (const ch of text) found += ch === '\t' ? ' '.repeat(SOURCE_TAB - (found.length % SOURCE_TAB)) : ch;
  return found;
}
