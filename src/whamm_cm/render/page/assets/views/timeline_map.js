/** Pointers on the axis (choose a range) and on the small picture of the run (move and stretch the view). */

/** Follows one pointer from down to up; `begin(x)` gives `{move(x), end(x, moved)}`. */
function timelineFollow(canvas, begin) {
  let deed = null;
  let from = 0;
  const place = (event) => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    from = place(event);
    deed = begin(from);
    event.preventDefault();
  });
  canvas.addEventListener('pointermove', (event) => {
    if (deed && (deed.moved || Math.abs(place(event) - from) > 3)) {
      deed.moved = true;
      deed.move(place(event));
    }
  });
  canvas.addEventListener('pointerup', (event) => {
    if (deed) deed.end(place(event), Boolean(deed.moved));
    deed = null;
  });
  canvas.addEventListener('pointercancel', () => {
    deed = null;
  });
}

/** Dragging along the axis chooses a range; a click takes it away. */
export function timelineAxisInput(canvas, rects, chosen) {
  timelineFollow(canvas, (x) => {
    const start = rects.map().world(x);
    const range = (to) => {
      const end = Math.min(rects.bounds.max, Math.max(rects.bounds.min, rects.map().world(to)));
      return {from: Math.min(start, end), to: Math.max(start, end)};
    };
    return {
      move: (to) => chosen(range(to), false),
      end: (to, moved) => chosen(moved ? range(to) : null, true),
    };
  });
}

/** Dragging the window moves it, its edges stretch it, beside it it comes to the pointer. */
export function timelineMapInput(canvas, rects) {
  const length = () => rects.bounds.max - rects.bounds.min;
  const world = (x) => rects.bounds.min + (x / canvas.clientWidth) * length();
  timelineFollow(canvas, (x) => {
    const {from, to} = rects.view;
    const near = (at) => Math.abs(((at - rects.bounds.min) / length()) * canvas.clientWidth - x) < 8;
    const whole = to - from >= length() * 0.999;
    if (!whole && near(from)) return timelineEdge(rects, world, to);
    if (!whole && near(to)) return timelineEdge(rects, world, from);
    const start = world(x);
    if (whole) return timelineEdge(rects, world, start);
    const inside = start >= from && start <= to;
    const offset = inside ? start - from : (to - from) / 2;
    if (!inside) rects.setView(start - offset, start - offset + (to - from));
    const move = (at) => rects.setView(world(at) - offset, world(at) - offset + (to - from));
    return {move, end: () => {}};
  });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    rects.zoomBy(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) * 0.004), world(event.clientX - box.left));
  }, {passive: false});
}

/** One edge stays, the other follows. */
function timelineEdge(rects, world, fixed) {
  return {
    move: (at) => rects.setView(Math.min(fixed, world(at)), Math.max(fixed, world(at))),
    end: () => {},
  };
}
