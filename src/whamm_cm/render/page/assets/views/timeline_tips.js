/** What is said of a rectangle of the timeline: beside the pointer, and to whoever listens. */
import {bytes, count, cut, h} from '../dom.js';
import {CANCELLED, DENIED, FAILED, IS_TASK, OUTCOMES, WAITED_LATER} from '../model.js';
import {TIMELINE_CALL, TIMELINE_SPAN} from './timeline_layout.js';
import {timelineLength, timelineWhen} from './timeline_axis.js';

/** How it ended, if there is anything to say; '' where it just returned. */
function timelineEnding(calls, i) {
  const flags = calls.flags[i];
  const parts = [];
  if (flags & DENIED) parts.push('denied');
  else if (flags & FAILED) parts.push('failed');
  if (flags & CANCELLED) parts.push('cancelled');
  if (calls.outcome[i]) parts.push(OUTCOMES[calls.outcome[i]]);
  return parts.join(', ');
}

/** Lines of facts about a call, `[what, text]`. */
function timelineFacts(layout, i, timed) {
  const {calls} = layout;
  const length = (n) => timelineLength(n, timed);
  const facts = [['begins', timelineWhen(calls.start[i], timed)], ['takes', length(calls.dur[i])]];
  if (calls.self[i] >= 0) facts.push(['itself', length(calls.self[i])]);
  if (calls.flags[i] & WAITED_LATER) facts.push(['kept its caller', length(calls.frame[i])]);
  if (calls.flags[i] & IS_TASK && calls.result[i] >= 0 && calls.result[i] < calls.dur[i]) {
    facts.push(['its result after', length(calls.result[i])]);
  }
  const waits = calls.waits.get(i);
  if (waits) {
    const sum = waits.reduce((all, [from, to]) => all + to - from, 0);
    facts.push(['waited', `${length(sum)}${waits.length > 1 ? ` in ${count(waits.length)} waits` : ''}`]);
  }
  const inside = calls.childrenOf(i).length;
  if (inside) facts.push(['calls in it', count(inside)]);
  if (calls.bytes[i]) facts.push(['moved', bytes(calls.bytes[i])]);
  if (calls.task[i]) facts.push(['task', String(calls.task[i])]);
  if (calls.req[i]) facts.push(['request', String(calls.req[i])]);
  return facts;
}

function timelineAskedFacts(layout, id, timed) {
  const row = layout.asked(id);
  const facts = [['begins', timelineWhen(layout.x0[id], timed)]];
  if (row.dur !== null) facts.push(['takes', timelineLength(row.dur, timed)]);
  if (row.status) facts.push(['status', String(row.status)]);
  if (row.error) facts.push(['error', cut(String(row.error), 200)]);
  if (row.sent) facts.push(['sent', bytes(row.sent)]);
  if (row.received) facts.push(['received', bytes(row.received)]);
  return facts;
}

/** Beside the pointer. */
export function timelineTip(layout, id, timed) {
  const kind = layout.kind(id);
  const asked = kind !== TIMELINE_CALL && kind !== TIMELINE_SPAN;
  const i = layout.callOf(id);
  const facts = asked ? timelineAskedFacts(layout, id, timed) : timelineFacts(layout, i, timed);
  const ending = asked ? (layout.flag[id] & 1 ? 'failed' : '') : timelineEnding(layout.calls, i);
  return h('div', {},
    h('div', {class: 'mono what'}, cut(layout.text(id), 300)),
    ending ? h('div', {class: layout.flag[id] & 1 ? 'bad' : 'warn'}, ending) : null,
    h('dl', {}, facts.map(([what, text]) => [h('dt', {}, what), h('dd', {}, text)])));
}

/** The same for calls that share a pixel. */
export function timelineTipMany(layout, many, timed) {
  const longest = many.longest;
  return h('div', {},
    h('div', {class: 'what'}, `${count(many.count)} calls in ${timelineLength(many.to - many.from, timed)}`),
    many.failed ? h('div', {class: 'bad'}, `${count(many.failed)} failed`) : null,
    h('dl', {}, h('dt', {}, 'longest'), h('dd', {class: 'mono'}, cut(layout.text(longest), 200)),
      h('dt', {}, 'takes'), h('dd', {}, timelineLength(layout.x1[longest] - layout.x0[longest], timed))));
}

/** One sentence for the live region. */
export function timelineTell(layout, id, timed) {
  const kind = layout.kind(id);
  const i = layout.callOf(id);
  const asked = kind !== TIMELINE_CALL && kind !== TIMELINE_SPAN;
  const ending = asked ? (layout.flag[id] & 1 ? 'failed' : '') : timelineEnding(layout.calls, i);
  const where = asked ? '' : `, ${layout.groups[layout.group[i]].title}`;
  return `${layout.text(id)}, at ${timelineWhen(layout.x0[id], timed)}, `
    + `${timelineLength(layout.x1[id] - layout.x0[id], timed)}${ending ? `, ${ending}` : ''}${where}`;
}
