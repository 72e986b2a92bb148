/** The source with what was counted on its lines: files, their text, where code was put in place. */
import {cssColour, isDark} from '../colours.js';
import {count, h, percent, shown, soon} from '../dom.js';
import {SourceCode} from './source_code.js';
import {sourceHeat, sourceLeaf, sourceLink, sourceNumber, sourceTree} from './source_model.js';

const SOURCE_HOTTEST = 25;
/** Of more files, folders without a text are closed. */
const SOURCE_OPEN = 20;

export const sourceView = {
  id: 'source',
  title: 'Source',
  order: 60,
  keys: [['n, p', 'the next line with much, the one before (source)'], ['Enter', 'the next line with a text (source)']],
  has: (model) => Boolean(model.sources?.files.length),
  create: (ctx) => new SourceView(ctx),
};

/** What a metric is called where one is chosen. */
export function sourceMetricName(metric, several) {
  const what = {executed: 'times executed', covered: 'lines executed at all', sum: 'sum of its places'}[metric.what];
  return several ? `${shown(metric.name)}: ${what}` : what;
}

/** The next of some lines, or the one before; round at the end. */
function sourceNext(lines, now, by) {
  return by > 0
    ? lines.find((line) => line > now) ?? lines[0]
    : lines.findLast((line) => line < now) ?? lines[lines.length - 1];
}

class SourceView {
  constructor(ctx) {
    this.ctx = ctx;
    const {metrics, files} = ctx.model.sources;
    this.model = ctx.model.sources;
    this.first = Math.max(files.findIndex((file) => file.text), 0);
    this.byPath = new Map(files.map((file, at) => [file.path, at]));
    const several = new Set(metrics.map((metric) => metric.name)).size > 1;
    this.metric = h('select', {'aria-label': 'What is counted', on: {change: () => ctx.set({
      'source.metric': this.metric.value === '0' ? null : this.metric.value})}},
    metrics.map((metric, at) => h('option', {value: at}, sourceMetricName(metric, several))));
    this.find = h('input', {type: 'search', placeholder: 'Find a file', 'aria-label': 'Find a file',
      on: {input: () => this.drawTree()}});
    this.tree = h('nav', {'aria-label': 'Source files', class: 'source-tree'});
    this.hottest = h('ol', {class: 'source-hottest'});
    this.head = h('div', {class: 'source-head'});
    this.search = h('input', {type: 'search', placeholder: 'Find in the text', 'aria-label': 'Find in the text',
      class: 'source-search', on: {keydown: (event) => {
        if (event.key === 'Enter') this.findText(event.shiftKey ? -1 : 1);
      }, input: () => this.ctx.say(`${count(this.matches().length)} lines`)}});
    this.code = new SourceCode(ctx, this.model);
    this.map = h('canvas', {class: 'source-map', 'aria-hidden': 'true'});
    this.drawMapSoon = soon(() => this.drawMap());
    this.code.element.addEventListener('scroll', this.drawMapSoon);
    this.watchMap();
    this.element = this.layout();
    this.element.addEventListener('keydown', (event) => this.key(event));
    this.element.addEventListener('click', (event) => this.follow(event));
  }

  layout() {
    const {others, notes} = this.model;
    const left = others ? `${count(others)} other files, without text here, in which nothing was counted` : '';
    this.files = h('details', {class: 'source-files', open: innerWidth > 700},
      h('summary', {}, `Files (${count(this.model.files.length)})`), this.find, this.tree,
      left ? h('p', {class: 'muted'}, left) : null, notes.map((note) => h('p', {class: 'muted'}, shown(note))));
    return h('div', {},
      h('div', {class: 'source-side'}, this.metric, this.files,
        h('details', {open: innerWidth > 700}, h('summary', {}, 'Lines with most'), this.hottest)),
      h('div', {class: 'source-main'}, this.head, h('div', {class: 'source-pane'}, this.code.element, this.map)));
  }

  show(state) {
    const metric = Number(state['source.metric'] ?? 0);
    const at = this.byPath.get(state['source.file']) ?? this.first;
    const line = Number(state['source.line'] ?? 0);
    const number = this.model.metrics[metric] ? metric : 0;
    const changed = this.number !== number || this.at !== at || this.dark !== isDark();
    if (this.number !== number || this.at !== at) {
      this.number = number;
      this.at = at;
      this.heat = sourceHeat(this.model, number);
      this.metric.value = String(number);
      this.drawTree();
      this.drawHottest();
      this.drawHead();
      this.code.open(this.file(), number, this.heat);
    }
    this.dark = isDark();
    if (line && (changed || line !== this.line)) this.code.reveal(line);
    this.line = line;
    this.drawMapSoon();
  }

  resized() {
    this.drawMapSoon();
  }

  file() {
    return this.model.files[this.at];
  }

  /** A link of ours, with the state as it is now, not as it was when the link was made. */
  follow(event) {
    const link = event.target.closest('a[data-file]');
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.ctx.set({'source.file': link.dataset.file, 'source.line': link.dataset.line ?? null}, {push: true});
  }

  drawTree() {
    const find = this.find.value.toLowerCase();
    const files = this.model.files.filter((file) => file.path.toLowerCase().includes(find));
    const root = sourceTree(files, this.heat, this.file());
    this.tree.replaceChildren(
      root.name.length > 1 ? h('p', {class: 'muted mono source-root', title: shown(root.name)}, shown(root.name)) : '',
      this.branch(root), files.length ? '' : h('p', {class: 'muted'}, 'No file is called so.'));
  }

  branch(node) {
    const all = this.model.files.length <= SOURCE_OPEN || this.find.value !== '';
    const folders = node.folders.map((folder) => h('li', {}, h('details', {open: all || folder.open},
      h('summary', {title: shown(folder.name)}, this.bar(folder), h('span', {class: 'mono'}, `${shown(folder.name)}/`)),
      this.branch(folder))));
    const files = node.files.map((leaf) => h('li', {}, h('a', {...sourceLink(this.ctx, leaf.file.path),
      class: 'source-file', 'aria-current': leaf.file === this.file() ? 'true' : null, title: shown(leaf.file.path)},
    this.bar(leaf), h('span', {class: 'mono'}, shown(leaf.name)),
    h('span', {class: 'muted number source-share'}, this.share(leaf)))));
    return h('ul', {}, folders, files);
  }

  bar(node) {
    const part = this.heat.whole ? node.sum / this.heat.whole : 0;
    return h('span', {class: 'source-bar', 'aria-hidden': 'true', style: {'--part': part.toFixed(4)}});
  }

  /** What a file has of all, or how much of it was executed. */
  share(node) {
    if (this.model.metrics[this.number].what === 'covered') return percent(node.hit, node.lines);
    const text = this.heat.whole ? percent(node.sum, this.heat.whole) : '';
    return text === '0.00%' ? '<0.01%' : text;
  }

  drawHottest() {
    const rows = this.heat.hottest.slice(0, SOURCE_HOTTEST);
    this.hottest.parentElement.hidden = this.model.metrics[this.number].what === 'covered' || !rows.length;
    this.hottest.replaceChildren(...rows.map(({file, line, value}) => h('li', {},
      h('a', {...sourceLink(this.ctx, file.path, line), class: 'mono', title: shown(`${file.path}:${line}`)},
        shown(`${sourceLeaf(file.path)}:${line}`)), ' ', h('span', {class: 'muted number'}, sourceNumber(value)))));
  }

  drawHead() {
    const file = this.file();
    const {what} = this.model.metrics[this.number];
    const {hit, lines, sum} = this.heat.files.get(file);
    const select = h('select', {'aria-label': 'Go to a function', on: {change: () => {
      this.ctx.set({'source.file': file.path, 'source.line': select.value}, {push: true});
      select.value = '';
    }}}, h('option', {value: ''}, `Functions (${count(file.functions.length)})`),
    file.functions.map(([line, name, n]) =>
      h('option', {value: line}, `${shown(name)} · ${n ? `${sourceNumber(n)} calls` : 'not called'}`)));
    const part = what === 'sum'
      ? `${sourceNumber(sum)} in ${count(hit)} lines`
      : `${count(hit)} of ${count(lines)} lines executed`;
    this.head.replaceChildren(...[
      h('h2', {class: 'mono source-path', title: shown(file.path)}, shown(file.path)),
      h('span', {class: 'badge'}, part),
      what === 'sum' ? null : h('span', {class: 'badge'}, percent(hit, lines)),
      file.text ? null : h('span', {class: 'badge warn'}, 'its text is not at hand'),
      file.functions.length ? select : null,
      file.text ? this.search : null,
      h('button', {title: 'The next line with much (n)', on: {click: () => this.step(1)}}, 'Next'),
    ].filter(Boolean));
  }

  /** To the next line that has at least a tenth of the most in this file, in order, or back. */
  step(by) {
    const {values} = this.heat.files.get(this.file());
    const most = Math.max(0, ...values.values());
    const lines = [...values].filter(([, value]) => value > 0 && value >= most / 10).map(([line]) => line);
    if (!lines.length) return;
    const next = sourceNext(lines, this.line, by);
    this.goto(next);
    this.ctx.say(`line ${next}: ${sourceNumber(values.get(next))}`);
  }

  /** The lines that have the text that is looked for, whatever its case. */
  matches() {
    const wanted = this.search.value.toLowerCase();
    const text = this.file().text ?? [];
    return wanted ? [...text.keys()].filter((at) => text[at].toLowerCase().includes(wanted)).map((at) => at + 1) : [];
  }

  findText(by) {
    const lines = this.matches();
    if (lines.length) this.goto(sourceNext(lines, this.line, by));
    this.search.title = `${count(lines.length)} lines have it`;
    this.ctx.say(lines.length ? `line ${this.line}, of ${count(lines.length)}` : 'no line has it');
  }

  goto(line) {
    this.ctx.set({'source.file': this.file().path, 'source.line': line});
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, select')) return;
    if (event.key === 'n') this.step(1);
    else if (event.key === 'p') this.step(-1);
    else return;
    event.preventDefault();
  }

  /** The whole file beside its text: where it is hot, and what is in view. */
  drawMap() {
    const {code, map} = this;
    const box = code.element.getBoundingClientRect();
    const height = Math.floor(box.height);
    if (!height || getComputedStyle(map).display === 'none') return;
    const scale = devicePixelRatio || 1;
    const width = 56;
    map.width = width * scale;
    map.height = height * scale;
    const c = map.getContext('2d');
    c.scale(scale, scale);
    const total = code.lineCount();
    const step = Math.min(height / Math.max(total, 1), 4);
    const {values, unknown} = this.heat.files.get(this.file());
    const text = this.file().text ?? [];
    c.fillStyle = cssColour('--line');
    for (let i = 0; i < text.length; i += Math.max(1, Math.floor(1 / step))) {
      const indent = Math.min(text[i].search(/\S|$/), 40);
      const wide = Math.min((text[i].length - indent) / 2.5, 44 - indent / 2);
      c.fillRect(10 + indent / 2, i * step, wide, Math.max(step - 0.6, 0.6));
    }
    for (const [line, value] of values) {
      c.fillStyle = unknown.has(line) ? cssColour('--warn') : value ? cssColour('--accent') : cssColour('--bad');
      const wide = value ? 3 + 7 * this.heat.of(value) : 4;
      c.fillRect(0, (code.rowOf(line) - 1) * step, wide, Math.max(step, 1.5));
    }
    const seen = code.element.scrollHeight || 1;
    c.strokeStyle = cssColour('--strong');
    c.strokeRect(0.5, (code.element.scrollTop / seen) * total * step + 0.5, width - 1,
      Math.max((height / seen) * total * step - 1, 6));
    this.mapScale = total * step;
  }

  watchMap() {
    const to = (event) => {
      if (!event.buttons || !this.mapScale) return;
      const at = (event.clientY - this.map.getBoundingClientRect().top) / this.mapScale;
      const {element} = this.code;
      element.scrollTop = at * element.scrollHeight - element.clientHeight / 2;
    };
    this.map.addEventListener('pointerdown', (event) => {
      this.map.setPointerCapture(event.pointerId);
      to(event);
    });
    this.map.addEventListener('pointermove', to);
  }
}
