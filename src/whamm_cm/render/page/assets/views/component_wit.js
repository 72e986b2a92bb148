/** WIT as text with colours, line numbers and an outline; also lines of a difference. */
import {h, shown} from '../dom.js';

const WIT_TOKEN = /\/\/.*|%?[A-Za-z_][\w-]*(?:[:/][\w-]+)*(?:@[\w.+-]+)?|"[^"]*"|\S|\s+/g;
const WIT_KEYWORDS = new Set(['package', 'world', 'interface', 'import', 'export', 'use', 'as', 'type', 'record',
  'variant', 'enum', 'flags', 'resource', 'func', 'static', 'constructor', 'async', 'include']);
const WIT_TYPES = new Set(['bool', 'u8', 'u16', 'u32', 'u64', 's8', 's16', 's32', 's64', 'f32', 'f64', 'char',
  'string', 'list', 'option', 'result', 'tuple', 'own', 'borrow', 'stream', 'future', 'map', 'error-context']);

/** The pieces of a line, coloured. */
export function witLine(line) {
  const pieces = [];
  for (const [token] of line.matchAll(WIT_TOKEN)) {
    const kind = token.startsWith('//') ? 'comment' : WIT_KEYWORDS.has(token) ? 'keyword'
      : WIT_TYPES.has(token) ? 'type' : token.includes(':') && token.length > 1 ? 'package' : '';
    const text = token.trim() ? shown(token) : token;
    pieces.push(kind ? h('span', {class: `wit-${kind}`}, text) : text);
  }
  return pieces;
}

/** The tab: a text for each component, chosen by `component.part`. */
export class ComponentWit {
  constructor(ctx) {
    this.ctx = ctx;
    this.component = ctx.model.component;
    this.code = h('div', {class: 'code', role: 'region', 'aria-label': 'WIT', tabindex: '0'});
    this.outline = h('nav', {class: 'outline', 'aria-label': 'Interfaces'});
    this.choice = h('select', {'aria-label': 'WIT of', on: {change: () => {
      ctx.set({'component.part': this.choice.value === '0' ? null : this.choice.value});
    }}}, this.component.wit.map(([part], at) => h('option', {value: at}, this.title(part))));
    this.copy = h('button', {on: {click: () => this.toClipboard()}}, 'Copy');
    this.element = h('div', {class: 'wit'},
      h('div', {class: 'tools'}, this.component.wit.length > 1 ? this.choice : null, this.copy),
      h('div', {class: 'columns'}, this.outline, this.code));
    this.at = -1;
  }

  title(part) {
    const {name, path} = this.component.parts[part];
    return part === 0 ? 'the whole component' : shown(name ? `${path} “${name}”` : path);
  }

  show(state) {
    const wanted = Number(state['component.part'] ?? 0);
    const at = wanted in this.component.wit ? wanted : 0;
    if (at === this.at) return;
    this.at = at;
    this.choice.value = String(at);
    this.fill(this.component.wit[at][1].replace(/\n$/, '').split('\n'));
  }

  fill(lines) {
    const rows = [];
    const places = [];
    let owner = '';
    for (const [at, line] of lines.entries()) {
      const row = h('div', {class: 'line'}, h('span', {class: 'at', 'aria-hidden': 'true'}, String(at + 1)),
        h('code', {}, witLine(line)));
      rows.push(row);
      const found = /^\s*(package|world|interface) ([^\s;{]+)/.exec(line);
      if (!found) continue;
      if (found[1] === 'package') owner = found[2];
      else places.push([found[1], found[1] === 'world' ? found[2] : `${owner.split('@')[0]}/${found[2]}`, row]);
    }
    this.code.replaceChildren(...rows);
    this.outline.replaceChildren(...places.map(([kind, name, row]) => h('button', {
      class: 'plain', on: {click: () => {
        row.scrollIntoView({block: 'start'});
        this.code.focus({preventScroll: true});
      }},
    }, h('span', {class: 'muted'}, `${kind} `), shown(name))));
  }

  async toClipboard() {
    const text = this.component.wit[this.at][1];
    try {
      await navigator.clipboard.writeText(text);
      this.ctx.say('Copied.');
      this.copy.textContent = 'Copied';
    } catch {
      // Not every browser lets a file copy: then the text is chosen, and the user's own keys do it.
      getSelection().selectAllChildren(this.code);
      this.copy.textContent = 'Selected: copy with your keys';
    }
  }
}
