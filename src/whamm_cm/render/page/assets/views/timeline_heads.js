/** The names of the groups: beside the lanes where there is room, else above them.  Only those in view are there. */
import {h} from '../dom.js';
import {timelineNote} from './timeline_layout.js';

export class TimelineHeads {
  /** @param {(key: string) => void} toggle */
  constructor(toggle) {
    this.toggle = toggle;
    this.element = h('div', {class: 'heads', role: 'group', 'aria-label': 'Lanes'});
    this.nodes = new Map();
    this.layout = null;
  }

  /** Into the column beside the lanes, or over them. */
  into(parent) {
    if (this.element.parentNode !== parent) parent.append(this.element);
  }

  setLayout(layout) {
    this.layout = layout;
    for (const node of this.nodes.values()) node.remove();
    this.nodes.clear();
  }

  _first(top) {
    const {groups} = this.layout;
    let low = 0;
    let high = groups.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (groups[mid].top + groups[mid].height < top) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** Puts them where the lanes are. */
  place(top, height) {
    const {groups} = this.layout;
    const wanted = new Set();
    for (let at = this._first(top); at < groups.length && groups[at].top < top + height; at += 1) {
      wanted.add(groups[at]);
      let node = this.nodes.get(groups[at]);
      if (!node) {
        node = this._node(groups[at]);
        this.nodes.set(groups[at], node);
        this.element.append(node);
      }
      const y = Math.round(groups[at].top - top);
      const room = groups[at].height - 26;
      node.style.transform = `translateY(${y}px)`;
      node.firstChild.style.transform = y < 0 && !this.layout.choice.heads
        ? `translateY(${Math.min(-y, Math.max(0, room))}px)` : '';
    }
    for (const [group, node] of this.nodes) {
      if (wanted.has(group) || node.contains(document.activeElement)) continue;
      node.remove();
      this.nodes.delete(group);
    }
  }

  _node(group) {
    const text = timelineNote(group);
    const mark = h('span', {class: 'mark', 'aria-hidden': 'true'}, group.closed ? '▸' : '▾');
    const note = h('span', {class: group.failed ? 'note bad' : 'note'}, text);
    const name = h('span', {class: 'name'}, group.title);
    const button = h('button', {
      class: 'plain', 'aria-expanded': String(!group.closed), title: `${group.title}\n${text}`,
      on: {click: () => this.toggle(group.key)},
    }, mark, name, note);
    const node = h('div', {class: group.rows > 1 || this.layout.choice.heads ? 'head' : 'head flat'}, button);
    node.style.height = `${group.height}px`;
    return node;
  }
}
