/** The verdict of a gate: each finding with the line that decides, the path to it, and what lets it pass. */
import {bytes, count, h, shown} from '../dom.js';

const GATE_TONES = {error: 'bad', warning: 'warn', note: ''};
const GATE_SIGNS = {error: '✖', warning: '▲', note: '●'};
const GATE_STEPS = {
  export: 'exported', start: 'start function', instantiation: 'instantiation', core: 'core', lift: 'enters',
  lower: 'leaves', builtin: 'built-in', outside: 'outside', import: 'import',
};
/** So many findings are made at once. */
const GATE_PAGE = 100;

class GateView {
  constructor(ctx) {
    this.ctx = ctx;
    this.gate = ctx.model.gate;
    this.words = this.gate.findings.map((each) => gateWords(each));
    this.open = new Set();
    this.room = GATE_PAGE;
    this.list = h('div', {class: 'findings'});
    this.said = h('p', {class: 'muted', role: 'status'});
    this.find = h('input', {type: 'search', placeholder: 'find an item, a rule, a file',
      'aria-label': 'Find findings', on: {input: () => ctx.set({'gate.q': this.find.value})}});
    this.chips = ['error', 'warning', 'note'].map((severity) => this.chip(severity));
    this.which = this.select();
    this.element = h('div', {}, this.head(), this.unjudged(),
      h('section', {class: 'card'}, h('h2', {}, 'Findings'),
        h('div', {class: 'tools'}, this.find, this.chips, this.which), this.said, this.list),
      this.components());
    const first = this.gate.findings.findIndex((each) => each.fails);
    if (first >= 0) this.open.add(first);
  }

  head() {
    const {gate} = this;
    const passed = gate.verdict === 'pass';
    return h('section', {class: 'head'},
      h('p', {class: `verdict ${passed ? 'good' : 'bad'}`}, passed ? '✔ PASS' : '✖ FAIL'),
      h('div', {}, h('p', {class: 'summary'}, gate.summary),
        h('p', {class: 'muted'},
          gate.policy ? ['judged by ', h('code', {}, shown(gate.policy))] : 'no policy: rules have their defaults',
          `, ${count(gate.components.length)} ${gate.components.length === 1 ? 'component' : 'components'}`)));
  }

  unjudged() {
    const rows = this.gate.unjudged;
    if (!rows.length) return null;
    return h('section', {class: 'card not-judged'}, h('h2', {class: 'bad'}, 'Not judged'),
      h('ul', {}, rows.map((each) => h('li', {}, shown(each.message)))));
  }

  /** A severity that can be left out. */
  chip(severity) {
    const number = this.gate.findings.filter((each) => each.severity === severity).length;
    return h('button', {'data-severity': severity, disabled: number === 0,
      on: {click: () => this.toggle(severity)}},
    h('span', {class: GATE_TONES[severity], 'aria-hidden': 'true'}, `${GATE_SIGNS[severity]} `),
    `${severity} ${count(number)}`);
  }

  toggle(severity) {
    const hidden = new Set(gateHidden(this.ctx.state));
    if (!hidden.delete(severity)) hidden.add(severity);
    this.ctx.set({'gate.hide': [...hidden].sort().join(' ')});
  }

  select() {
    const some = this.gate.findings.some((each) => !each.fails);
    const choice = h('select', {'aria-label': 'Which findings', on: {change: () =>
      this.ctx.set({'gate.which': choice.value})}},
    h('option', {value: ''}, 'all findings'), h('option', {value: 'fails'}, 'what fails'),
    some ? h('option', {value: 'rest'}, 'what does not fail') : null);
    return choice;
  }

  show(state) {
    const hidden = gateHidden(state);
    if (document.activeElement !== this.find) this.find.value = state['gate.q'] ?? '';
    this.which.value = state['gate.which'] ?? '';
    for (const chip of this.chips) chip.setAttribute('aria-pressed', String(!hidden.includes(chip.dataset.severity)));
    const wanted = (state['gate.q'] ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = [];
    for (const [at, one] of this.gate.findings.entries()) {
      const fits = !hidden.includes(one.severity) && wanted.every((word) => this.words[at].includes(word));
      if (fits && (!this.which.value || one.fails === (this.which.value === 'fails'))) chosen.push(at);
    }
    // What fails comes first; in itself the order is the gate's.
    chosen.sort((a, b) => this.gate.findings[b].fails - this.gate.findings[a].fails || a - b);
    const text = chosen.join(' ');
    if (text === this.listed) return;
    this.listed = text;
    this.room = GATE_PAGE;
    this.fill(chosen);
  }

  fill(chosen) {
    const all = this.gate.findings.length;
    this.said.textContent = !all ? 'Nothing was found.'
      : chosen.length === all ? `${count(all)} in all` : `${count(chosen.length)} of ${count(all)}`;
    const rest = chosen.length - this.room;
    const more = rest > 0 ? h('button', {on: {click: () => {
      this.room += GATE_PAGE;
      this.fill(chosen);
    }}}, `${count(rest)} more …`) : null;
    this.list.replaceChildren(...chosen.slice(0, this.room).map((at) => this.finding(at)), ...more ? [more] : []);
  }

  finding(at) {
    const one = this.gate.findings[at];
    const body = h('div', {class: 'body'});
    const fill = () => {
      if (!body.childNodes.length) body.append(...this.body(one).filter(Boolean));
    };
    const toggle = () => {
      fill();
      if (box.open) this.open.add(at);
      else this.open.delete(at);
    };
    const box = h('details', {class: `finding ${one.fails ? 'fails' : ''}`, open: this.open.has(at), on: {toggle}},
      this.line(one), body);
    if (box.open) fill();
    return box;
  }

  line(one) {
    const component = this.gate.components.length > 1 && one.of >= 0 ? this.gate.components[one.of].name : '';
    return h('summary', {},
      h('span', {class: `badge ${GATE_TONES[one.severity]}`}, `${GATE_SIGNS[one.severity]} ${one.severity}`),
      h('span', {class: 'mono item'}, shown(one.item)),
      h('span', {class: 'muted'}, `${one.name} `, h('span', {class: 'mono'}, one.rule)),
      component ? h('span', {class: 'muted'}, `in ${shown(component)}`) : null,
      one.state ? h('span', {class: 'badge'}, shown(one.state.replace(/^\(|\)$/g, ''))) : null);
  }

  body(one) {
    const at = one.location;
    return [
      h('p', {class: 'message'}, shown(one.message)),
      one.waived ? h('p', {}, 'Waived: ', shown(one.waived.reason),
        one.waived.owner ? ` (${shown(one.waived.owner)})` : '') : null,
      h('div', {class: 'sides'},
        h('div', {},
          at ? [h('h3', {}, 'Decided by ', h('code', {}, `${shown(at.file)}:${at.line}:${at.column}`)),
            one.quote.trim() ? gateQuote(at.line, one.quote) : null] : null,
          one.path ? [h('h3', {}, 'Path in the component'), gatePath(one)] : null),
        h('div', {}, this.remedies(one))),
      one.why ? h('p', {class: 'muted why'}, `Why it matters: ${one.why}`) : null];
  }

  remedies(one) {
    if (one.waived || one.baseline) return null;
    const where = one.target ? ['merge into ', h('code', {}, shown(one.target))]
      : 'a policy of your own begins with this';
    return [
      one.fix ? [h('h3', {}, 'What to do'), h('p', {}, shown(one.fix))] : null,
      one.allow ? [h('h3', {}, 'To allow it'), this.snippet(one.allow, where, 'what allows it')] : null,
      one.waiver ? [h('h3', {}, 'Or accept it for a while'),
        this.snippet(one.waiver, 'a waiver in the policy; say why, or it is refused', 'the waiver')] : null];
  }

  /** A part of a policy, to be copied. */
  snippet(text, where, what) {
    const code = h('pre', {tabindex: '0', role: 'group', 'aria-label': what}, h('code', {}, gateLines(text)));
    const button = h('button', {'aria-label': `Copy ${what}`, on: {click: async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
        this.ctx.say('Copied');
      } catch {
        // Not every browser lets a file write there: the text is chosen, to be copied by hand.
        getSelection().selectAllChildren(code);
        button.textContent = 'Chosen: copy it by Ctrl+C';
      }
    }}}, 'Copy');
    return h('div', {class: 'snippet'}, h('p', {class: 'muted'}, where, button), code);
  }

  components() {
    const rows = this.gate.components;
    if (!rows.length) return null;
    return h('section', {class: 'card'}, h('h2', {}, 'What was judged'),
      rows.map((each, at) => this.component(each, at)));
  }

  component(one, at) {
    const [declared, reachable, observed] = one.counts;
    const found = this.gate.findings.filter((each) => each.of === at && each.fails).length;
    const facts = [bytes(one.size), `${count(one.modules)} core ${one.modules === 1 ? 'module' : 'modules'}`,
      one.language, `${count(declared)} functions imported`, `${count(reachable)} reachable`,
      observed === null ? '' : `${count(observed)} observed`].filter(Boolean).join(', ');
    const label = `imports of ${shown(one.path)}`;
    const body = h('div', {class: 'scroll', tabindex: '0', role: 'group', 'aria-label': label});
    const box = h('details', {class: 'component', on: {toggle: () => {
      if (box.open && !body.childNodes.length) body.append(gateImports(one.imports));
    }}}, h('summary', {}, h('span', {class: 'mono item'}, shown(one.path)),
      h('span', {class: `badge ${found ? 'bad' : 'good'}`}, found ? `${count(found)} fail` : 'nothing fails'),
      h('span', {class: 'muted'}, facts)),
    h('p', {class: 'mono digest'}, `sha256:${one.sha256}`, one.image ? `  image ${shown(one.image)}` : ''), body);
    return box;
  }
}

function gateHidden(state) {
  return (state['gate.hide'] ?? '').split(' ').filter(Boolean);
}

/** What a finding is found by. */
function gateWords(one) {
  return [one.item, one.rule, one.name, one.message, one.component, one.location?.file ?? ''].join('\n').toLowerCase();
}

function gateQuote(line, text) {
  return h('pre', {class: 'quote', tabindex: '0', role: 'group', 'aria-label': 'the line of the policy'},
    h('code', {}, h('span', {class: 'muted'}, `${line} │ `), shown(text)));
}

/** The text with its own line breaks, and nothing else that acts. */
function gateLines(text) {
  return text.replace(/\n$/, '').split('\n').map((line) => shown(line)).join('\n');
}

function gatePath(one) {
  const more = one.paths - 1;
  return [
    h('ol', {class: 'path'}, one.path.map(({kind, name}) => h('li', {class: `step-${kind}`},
      h('span', {class: 'kind'}, GATE_STEPS[kind] ?? ''), ' ', h('span', {class: 'mono'}, shown(name))))),
    more > 0 ? h('p', {class: 'muted'},
      `To ${shown(one.to)}; ${count(more)} more ${more === 1 ? 'function' : 'functions'} can be reached.`) : null];
}

function gateImports(imports) {
  if (!imports.length) return h('p', {class: 'muted'}, 'It imports nothing: it can only compute.');
  const seen = imports.some(([, , functions]) => functions.some(([, , observed]) => observed !== null));
  const heads = ['function', 'reachable', ...seen ? ['calls observed'] : []];
  return h('table', {}, h('thead', {}, h('tr', {}, heads.map((head) => h('th', {scope: 'col'}, head)))),
    imports.map(([name, kind, functions]) => h('tbody', {},
      h('tr', {}, h('th', {scope: 'rowgroup', colspan: heads.length, class: 'mono'}, shown(name),
        functions.length ? null : h('span', {class: 'muted'}, ` ${kind === 'instance' ? 'types only' : kind}`))),
      functions.map(([func, reachable, observed]) => h('tr', {}, h('td', {class: 'mono'}, shown(func)),
        h('td', {class: reachable ? '' : 'good'}, reachable ? 'yes' : 'no'),
        seen ? h('td', {class: 'number'}, observed === null ? '' : count(observed)) : null)))));
}

export const gateView = {
  id: 'gate', title: 'Gate', order: 5,
  has: (model) => Boolean(model.gate),
  create: (ctx) => new GateView(ctx),
};
