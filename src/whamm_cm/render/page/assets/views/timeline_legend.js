/** What the marks and colours of the timeline mean. */
import {colourOf} from '../colours.js';
import {count, h, shownCut} from '../dom.js';

const TIMELINE_MARKS = [
  ['failed', 'failed or was denied'], ['open', 'never returned'], ['waits', 'its task waits'],
  ['result', 'the result is handed over, the task goes on'], ['async', 'an asynchronous call, from beginning to end'],
  ['pale', 'not chosen by the filter or the range'],
];
const TIMELINE_COLOURS = 24;

export class TimelineLegend {
  constructor() {
    this.colours = h('ul', {});
    this.element = h('details', {class: 'legend'},
      h('summary', {}, 'Legend'),
      h('div', {class: 'card'},
        h('ul', {}, TIMELINE_MARKS.map(([mark, text]) => h('li', {},
          h('span', {class: `swatch ${mark}`, 'aria-hidden': 'true'}), text))),
        h('p', {class: 'muted'}, 'A colour for each package:'),
        this.colours));
    this.element.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.element.open) return;
      this.element.open = false;
      this.element.firstChild.focus();
      event.stopPropagation();
    });
  }

  /** @param {string[]} keys  packages, in the order in which they were met */
  show(keys) {
    const left = keys.length - TIMELINE_COLOURS;
    this.colours.replaceChildren(...keys.slice(0, TIMELINE_COLOURS).map((key) => h('li', {},
      h('span', {class: 'swatch', style: {background: colourOf(key)}, 'aria-hidden': 'true'}),
      h('span', {class: 'mono'}, shownCut(key, 60)))));
    if (left > 0) this.colours.append(h('li', {class: 'muted'}, `… ${count(left)} more`));
  }
}
