/** A page of a run that goes on: it is told what to show by who served it, and never asks for anything else. */
import {modelUnpack} from './model.js';
import {count, h, shown} from './dom.js';

/** Views that take parts of the model when they are made, and are made anew for others. */
const LIVE_ANEW = ['reports', 'source', 'topology'];

/** The line that says how the run goes, and the listening.  `app`: `refresh(ids of views to make anew)`. */
export class LiveBar {
  constructor(app) {
    this.app = app;
    this.paused = false;
    this.kept = null;
    this.first = 0;
    this.lamp = h('span', {class: 'badge', role: 'status'}, 'waiting');
    this.said = h('span', {class: 'muted'});
    this.button = h('button', {'aria-pressed': 'false', on: {click: () => this.pause(!this.paused)}}, 'Pause');
    this.element = h('div', {class: 'live', role: 'region', 'aria-label': 'Live'}, this.lamp, this.said, this.button);
  }

  listen() {
    this.source = new EventSource('events');
    // What comes while another is read or a page is paused takes the place of what waits.
    this.source.addEventListener('message', (event) => {
      this.kept = event.data;
      this.read();
    });
    this.source.addEventListener('over', () => {
      this.source.close();
      this.lost(true);
    });
    this.source.addEventListener('error', () => this.lost(false));
  }

  lost(over) {
    if (this.ended) return;
    this.lampIs(over ? 'no more comes' : 'not connected; trying again', 'warn');
  }

  lampIs(text, tone) {
    if (this.lamp.textContent === text) return;
    this.lamp.textContent = text;
    this.lamp.setAttribute('class', `badge ${tone}`);
  }

  pause(paused) {
    this.paused = paused;
    this.button.setAttribute('aria-pressed', String(paused));
    this.button.textContent = paused ? 'Go on' : 'Pause';
    if (paused) this.lampIs('paused', 'warn');
    else this.read();
  }

  async read() {
    if (this.paused || this.reading || this.kept === null) return;
    this.reading = true;
    try {
      const text = this.kept;
      this.kept = null;
      const told = await modelUnpack(text);
      if (!this.paused) this.take(told);
    } finally {
      this.reading = false;
    }
    this.read();
  }

  take({chunk, live, ...parts}) {
    const {context} = this.app;
    const {model, calls} = context;
    const moved = parts.run.t0 - model.run.t0;
    const gone = live.first - this.first;
    const known = calls.n > 0;
    this.first = live.first;
    for (const [key, part] of Object.entries(parts)) {
      if (liveIsEmpty(part)) delete model[key];
      else model[key] = part;
    }
    calls.restart(model.run, chunk);
    if (known) liveMove(context, moved, gone);
    const less = live.shown < live.records ? `; shown are the last ${count(live.shown)}` : '';
    this.said.textContent = `${count(live.records)} records so far${less}`;
    this.ended = Boolean(live.ended);
    if (live.ended) {
      this.lampIs('over', '');
      this.said.textContent = `${shown(live.ended)} ${count(live.records)} records${less}`;
      this.button.disabled = true;
    } else {
      this.lampIs('live', 'good');
    }
    this.app.refresh(LIVE_ANEW);
  }
}

function liveIsEmpty(part) {
  return part === null || part === undefined || (typeof part === 'object' && Object.keys(part).length === 0);
}

/** The call and the range that are chosen stay the same, while what is shown begins later. */
function liveMove(context, moved, gone) {
  const {call, t} = context.state;
  const changes = {};
  if (gone && /^\d+$/.test(call ?? '')) changes.call = Number(call) >= gone ? Number(call) - gone : null;
  const range = /^(\d+)-(\d+)$/.exec(t ?? '');
  if (moved && range) {
    const [from, to] = [Number(range[1]) - moved, Number(range[2]) - moved];
    changes.t = to > 0 ? `${Math.max(0, from)}-${to}` : null;
  }
  if (Object.keys(changes).length) context.set(changes);
}
