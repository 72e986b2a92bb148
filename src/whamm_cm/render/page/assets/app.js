/** The page around the views: their tabs, the filter, the state, the drawer, themes and keys. */
import {Calls, readChunks, readModel} from './model.js';
import {State} from './state.js';
import {count, h, shown} from './dom.js';
import {LiveBar} from './live.js';
import {reportsView} from './views/reports.js';
import {sourceView} from './views/source.js';
import {timelineView} from './views/timeline.js';
import {componentView} from './views/component.js';
import {detailsDrawer} from './views/details.js';
import {diffView} from './views/diff.js';
import {filterBar, filterSelect} from './views/filter.js';
import {gateView} from './views/gate.js';
import {flameView} from './views/flame.js';
import {overviewView} from './views/overview.js';
import {tableView} from './views/table.js';
import {topologyView} from './views/topology.js';

/** All views there are; those are offered that have something to show. */
const VIEWS = [
  gateView,
  overviewView,
  reportsView,
  sourceView,
  timelineView,
  flameView,
  tableView,
  componentView,
  diffView,
  topologyView,
];
const THEMES = ['', 'dark', 'light'];
const KEYS = [
  ['1 … 9', 'the views, in order'],
  ['/', 'filter'],
  ['Esc', 'close what is open; clear the choice'],
  ['d', 'dark, light, or as the system has it'],
  ['?', 'these keys'],
];

/** What views share: the model, the calls, the state, and ways to change it. */
class Context {
  constructor(app, model) {
    this.app = app;
    this.model = model;
    this.calls = model.run ? new Calls(model.run) : null;
    this.progress = this.calls && model.run.calls ? 0 : 1;
    this.ready = Promise.resolve();
    /** Set by the filter: `(state) → Uint8Array or null`. */
    this.select = () => null;
  }

  get state() {
    return this.app.state.now;
  }

  set(changes, {push = false} = {}) {
    this.app.state.set(changes, push);
  }

  go(view, changes = {}) {
    this.app.state.set({...changes, view}, true);
  }

  link(changes) {
    return this.app.state.link(changes);
  }

  /** Which calls `q` and `t` choose, 1 each; null: all. */
  selection() {
    return this.select(this.state);
  }

  choose(i) {
    this.set({call: i});
  }

  /** Says it to whoever listens instead of looks. */
  say(text) {
    this.app.live.textContent = text;
  }

  /** The chunks or the calls have changed: the view is to be shown again. */
  changed() {
    this.app.show();
  }
}

class App {
  constructor() {
    this.model = readModel();
    this.context = new Context(this, this.model);
    this.state = new State(() => this.show());
    this.views = this.offered();
    this.made = new Map();
    this.live = h('div', {class: 'unseen', 'aria-live': 'polite'});
    this.tabs = h('nav', {'aria-label': 'Views', class: 'tabs'}, this.views.map((view) => this.tab(view)));
    this.main = h('main', {id: 'main', tabindex: '-1'});
    this.bar = h('div', {class: 'bar'});
    this.help = this.keysDialog();
    this.meter = h('progress', {max: 1, value: 0, 'aria-label': 'reading the records', hidden: true});
    this.theme = h('button', {class: 'plain', title: 'Colours: dark, light, system (d)',
      on: {click: () => this.nextTheme()}});
    this.drawer = detailsDrawer(this.context);
    document.body.append(
      h('a', {class: 'skip', href: '#main', on: {click: (e) => this.skip(e)}}, 'Skip to the view'),
      h('header', {},
        h('h1', {title: this.model.title}, shown(this.model.title)),
        this.tabs, this.meter, this.theme,
        h('button', {class: 'plain', title: 'Keys (?)', 'aria-label': 'Keys',
          on: {click: () => this.help.showModal()}}, '?')),
      this.bar, h('div', {class: 'beside'}, this.main, this.drawer.element), this.live, this.help);
  }

  /** The views that have something to show. */
  offered() {
    // What the page is about comes first: of a component the component.
    const order = (view) => (view.id === this.model.kind ? 0 : view.order);
    return VIEWS.filter((view) => view.has(this.model)).sort((a, b) => order(a) - order(b));
  }

  /** The model is another now; views with these ids are made anew. */
  refresh(anew) {
    const views = this.offered();
    if (views.some((view, at) => view !== this.views[at]) || views.length !== this.views.length) {
      this.views = views;
      this.tabs.replaceChildren(...views.map((view) => this.tab(view)));
    }
    for (const view of VIEWS) if (anew.includes(view.id)) this.made.delete(view);
    const {scrollTop} = this.shown?.element ?? {scrollTop: 0};
    this.show();
    if (this.shown) this.shown.element.scrollTop = scrollTop;
  }

  skip(event) {
    event.preventDefault();
    this.main.focus();
  }

  tab(view) {
    return h('a', {href: `#view=${view.id}`, 'data-view': view.id, on: {click: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      this.context.go(view.id);
    }}}, view.title);
  }

  keysDialog() {
    const close = () => dialog.close();
    const table = (keys) => h('table', {}, h('tbody', {}, keys.map(([key, what]) =>
      h('tr', {}, h('th', {scope: 'row'}, h('kbd', {}, key)), h('td', {}, what)))));
    const dialog = h('dialog', {'aria-label': 'Keys', class: 'keys'},
      h('button', {class: 'close', on: {click: close}}, 'Close'), h('h2', {}, 'Keys'), table(KEYS),
      this.views.filter((view) => view.keys).map((view) => [h('h3', {}, view.title), table(view.keys)]),
      h('p', {class: 'muted'}, `Made by ${shown(this.model.by)}. Nothing of this page leaves your machine.`));
    return dialog;
  }

  nextTheme() {
    const at = THEMES.indexOf(this.state.now.theme ?? '');
    this.state.set({theme: THEMES[(at + 1) % THEMES.length]});
  }

  applyTheme() {
    const wanted = this.state.now.theme;
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    document.documentElement.dataset.theme = THEMES.includes(wanted) && wanted ? wanted : dark ? 'dark' : 'light';
    this.theme.textContent = {dark: '☾', light: '☀'}[wanted] ?? '◐';
    this.theme.setAttribute('aria-label', `Colours: ${wanted || 'as the system has them'}`);
  }

  current() {
    return this.views.find((view) => view.id === this.state.now.view) ?? this.views[0];
  }

  /** The current view, made at its first time. */
  show() {
    this.applyTheme();
    const view = this.current();
    if (!view) {
      this.main.replaceChildren(h('p', {class: 'empty'}, 'There is nothing to show: the log has no records.'));
      return;
    }
    let made = this.made.get(view);
    if (!made) {
      made = view.create(this.context);
      made.element.classList.add('view', `view-${view.id}`);
      this.made.set(view, made);
    }
    if (this.shown !== made) {
      this.shown?.hide?.();
      this.main.replaceChildren(made.element);
      this.shown = made;
    }
    for (const tab of this.tabs.children) {
      if (tab.dataset.view === view.id) tab.setAttribute('aria-current', 'page');
      else tab.removeAttribute('aria-current');
    }
    made.show(this.state.now);
    for (const extra of this.extras) extra.show(this.state.now);
  }

  key(event) {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches?.('input, select, textarea')) return;
    const view = this.views[Number(event.key) - 1];
    if (event.key === '?') this.help.showModal();
    else if (event.key === 'd') this.nextTheme();
    else if (event.key === '/') this.bar.querySelector('input')?.focus();
    else if (view) this.context.go(view.id);
    else return;
    event.preventDefault();
  }

  async start() {
    this.extras = [this.drawer];
    if (this.context.calls) {
      const filter = filterBar(this.context);
      this.context.select = filterSelect(this.context);
      this.extras.push(filter);
      this.bar.append(filter.element);
    }
    if (this.model.kind === 'live') {
      const live = new LiveBar(this);
      this.bar.before(live.element);
      live.listen();
    }
    addEventListener('keydown', (event) => this.key(event));
    addEventListener('resize', () => this.shown?.resized?.());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.show());
    const {context} = this;
    if (context.calls && context.progress < 1) {
      this.meter.hidden = false;
      context.ready = readChunks(context.calls, (progress) => {
        context.progress = progress;
        this.meter.value = progress;
        this.show();
      });
    }
    this.show();
    await context.ready;
    this.meter.hidden = true;
    const {calls} = context;
    if (calls && calls.n < calls.run.calls && this.model.kind !== 'live') {
      const there = `${count(calls.n)} of its ${count(calls.run.calls)} calls are here`;
      const text = `This file is not whole: ${there}. Make or copy it again.`;
      this.bar.prepend(h('p', {class: 'torn', role: 'alert'}, text));
    }
    document.documentElement.dataset.ready = 'true';
  }
}

/** Begins; called at the end of the page. */
export function startPage() {
  const app = new App();
  app.start();
}
