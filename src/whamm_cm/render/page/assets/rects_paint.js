// Paints what is in view of a RectsCanvas. Stretches narrower than a pixel go into a picture that has one pixel for
// each column and row, and is stretched to the height of the rows; what is wider is drawn and written upon.

const RECTS_FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const RECTS_PALE = 0.22;

export class RectsPainter {
  /** @param {import('./rects.js').RectsCanvas} owner */
  constructor(owner) {
    this.owner = owner;
    this.g = owner.canvas.getContext('2d');
    this.strip = document.createElement('canvas');
    this.stripG = this.strip.getContext('2d');
    this.image = null;
    this.widths = new Map();
    this.vars = new Map();
    this.wide = new Float64Array(0);
  }

  /** Value of a CSS variable at the widget. */
  css(name) {
    if (!this.vars.has(name)) {
      this.vars.set(name, getComputedStyle(this.owner.element).getPropertyValue(name).trim() || '#888888');
    }
    return this.vars.get(name);
  }

  recolour() {
    this.vars.clear();
    this.palette = this.owner.options.palette();
    this.bytes = this.palette.map(({fill}) => this._bytes(fill));
    this.failedBytes = null;
  }

  _bytes(colour) {
    this.stripG.clearRect(0, 0, 1, 1);
    this.stripG.fillStyle = '#888888';
    this.stripG.fillStyle = colour;
    const text = this.stripG.fillStyle;
    if (text[0] === '#') return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    return text.match(/[\d.]+/g).slice(0, 3).map(Number);
  }

  /** Fits the canvas to the room there is; whether that is another one. */
  resize() {
    const {canvas, width, height} = this.owner;
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    if (ratio === this.ratio && width === this.room?.width && height === this.room.height) return false;
    this.ratio = ratio;
    this.room = {width, height};
    canvas.width = Math.round(width * this.ratio);
    canvas.height = Math.round(height * this.ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    this.image = null;
    return true;
  }

  paint() {
    const {owner, g} = this;
    if (!this.failedBytes) this.failedBytes = this._bytes(this.css('--rects-failed'));
    const map = owner.map();
    owner.options.onView?.(map);
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    g.clearRect(0, 0, map.width, map.height);
    owner.options.under?.(g, map);
    const rows = this._rowsInView(map);
    this._collect(rows, map);
    this._stretch(rows, map);
    this._drawWide(map);
    this._rings(map);
    owner.options.over?.(g, map);
    this._band(map);
  }

  _rowsInView(map) {
    const {rowTop, rowHeight} = this.owner.data;
    const {first} = this.owner.index;
    const rows = [];
    for (let r = 0; r < rowTop.length; r++) {
      const y = rowTop[r] - map.top;
      if (y + rowHeight > 0 && y < map.height && first[r + 1] > first[r]) rows.push(r);
    }
    return rows;
  }

  /** Fills the picture of narrow ones, and `wide` with places of the others. */
  _collect(rows, map) {
    const {index} = this.owner;
    const columns = this.owner.canvas.width;
    if (!this.image || this.image.width !== columns + 1 || this.image.height < rows.length) {
      this.image = new ImageData(columns + 1, Math.max(rows.length, 8));
      this.strip.width = columns + 1;
      this.strip.height = this.image.height;
    }
    const pixels = this.image.data;
    pixels.fill(0, 0, rows.length * (columns + 1) * 4);
    const unit = (map.to - map.from) / columns;
    this.unit = unit;
    this.column0 = Math.floor(map.from / unit);
    this.count = 0;
    this.narrow = new Uint8Array(rows.length);
    rows.forEach((row, line) => {
      const start = line * (columns + 1);
      index.walk(row, map.from, map.to, unit, (k) => this._keep(k), (a, b, column) => {
        const at = column - this.column0;
        if (at < 0 || at > columns) return;
        this.narrow[line] = 1;
        this._dot(pixels, (start + at) * 4, a, b);
      });
    });
  }

  _keep(place) {
    if (this.count === this.wide.length) {
      const more = new Float64Array(Math.max(1024, this.count * 2));
      more.set(this.wide);
      this.wide = more;
    }
    this.wide[this.count++] = place;
  }

  /** One pixel for places [a, b): the colour of the longest, as full as they cover it, red where one failed. */
  _dot(pixels, at, a, b) {
    const {index, data} = this.owner;
    const failed = index.failed[b] > index.failed[a];
    const rgb = failed ? this.failedBytes : this.bytes[data.colour[index.ids[b - a > 1 ? index.longest(a, b) : a]]];
    const covered = Math.min(1, (index.covered[b] - index.covered[a]) / this.unit);
    let alpha = failed ? 1 : 0.5 + 0.5 * covered;
    if (index.matched && index.matches(a, b) === 0) alpha *= RECTS_PALE;
    const old = pixels[at + 3];
    if (old > alpha * 255) return;
    [pixels[at], pixels[at + 1], pixels[at + 2]] = rgb;
    pixels[at + 3] = alpha * 255;
  }

  _stretch(rows, map) {
    if (!this.narrow.some(Boolean)) return;
    const {g} = this;
    this.stripG.putImageData(this.image, 0, 0, 0, 0, this.image.width, rows.length);
    g.imageSmoothingEnabled = false;
    const left = (this.column0 * this.unit - map.from) / this.unit / this.ratio;
    const width = this.image.width;
    rows.forEach((row, line) => {
      if (!this.narrow[line]) return;
      g.drawImage(this.strip, 0, line, width, 1, left, map.y(row), width / this.ratio, map.rowHeight - 1);
    });
  }

  _drawWide(map) {
    const {g, owner} = this;
    const {index, data, options} = owner;
    g.font = RECTS_FONT;
    g.textBaseline = 'middle';
    const scale = map.width / (map.to - map.from);
    for (let c = 0; c < this.count; c++) {
      const place = this.wide[c];
      const id = index.ids[place];
      const left = Math.max(-2, (index.x0[place] - map.from) * scale);
      const right = Math.min(map.width + 2, (index.x1[place] - map.from) * scale);
      const w = right - left;
      const y = map.y(data.row[id]);
      const flag = data.flag ? data.flag[id] : 0;
      const pale = index.matched !== null && index.matches(place, place + 1) === 0;
      g.globalAlpha = pale ? RECTS_PALE : 1;
      const colour = this.palette[data.colour[id]];
      g.fillStyle = flag & 2 && w > 8 ? this._fading(colour.fill, left, right) : colour.fill;
      g.fillRect(left, y, w > 3 ? w - 0.7 : w, map.rowHeight - 1);
      if (w < 4 && !(flag & 1)) continue;
      if (w >= 4) options.decorate?.(g, id, left, y, w, map.rowHeight - 1);
      if (flag & 1) this._foot(left, y, w, map.rowHeight);
      if (w > 22) this._write(id, flag, colour.ink, left, y, w, map.rowHeight);
    }
    g.globalAlpha = 1;
  }

  /** What never ended, as far as anybody knows, has no right edge. */
  _fading(fill, left, right) {
    const [red, green, blue] = this._bytes(fill);
    const paint = this.g.createLinearGradient(left, 0, right, 0);
    paint.addColorStop(0, fill);
    paint.addColorStop(Math.max(0, 1 - 60 / (right - left)), fill);
    paint.addColorStop(1, `rgba(${red}, ${green}, ${blue}, 0.15)`);
    return paint;
  }

  _foot(x, y, w, rowHeight) {
    this.g.fillStyle = this.css('--rects-failed');
    this.g.fillRect(x, y + rowHeight - 4, Math.max(1.5, w - 0.7), 3);
  }

  _write(id, flag, ink, left, y, w, rowHeight) {
    const {g, owner} = this;
    const mark = flag & 1 ? '✕ ' : '';
    const x = Math.max(left, 0);
    const room = Math.min(left + w, owner.width) - x - 7;
    const full = mark + owner.options.text(id);
    let fit = full;
    if (this._width(full) > room) {
      const short = owner.options.short ? mark + owner.options.short(id) : full;
      fit = this._fit(short, room) || mark.trim();
    }
    if (!fit) return;
    g.fillStyle = ink;
    g.fillText(fit, x + 4, y + rowHeight / 2);
  }

  _width(text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      if (this.widths.size > 20000) this.widths.clear();
      width = this.g.measureText(text).width;
      this.widths.set(text, width);
    }
    return width;
  }

  /** As much of a text as fits; '' where that is next to nothing. */
  _fit(text, room) {
    const width = this._width(text);
    if (width <= room) return text;
    let letters = Math.floor((text.length * room) / width);
    while (letters > 1 && this._width(`${text.slice(0, letters)}…`) > room) letters -= 1;
    if (text.charCodeAt(letters - 1) >>> 10 === 0x36) letters -= 1; // not half a pair
    return letters < 2 ? '' : `${text.slice(0, letters)}…`;
  }

  /** Around what is under the pointer, and around what is focused. */
  _rings(map) {
    const {owner, g} = this;
    const {hovered, focused} = owner;
    if (hovered >= 0 && hovered !== focused) {
      g.lineWidth = 1.5;
      this._ring(map, hovered, this.css('--rects-ink'), 0);
    }
    if (focused < 0) return;
    g.lineWidth = 2;
    this._ring(map, focused, this.css('--rects-back'), 1.5);
    this._ring(map, focused, this.css('--rects-focus'), 0);
  }

  _ring(map, id, colour, more) {
    const {x0, x1, row} = this.owner.data;
    if (!(row[id] >= 0)) return;
    const left = Math.max(-4, map.x(x0[id])) - more;
    const right = Math.min(map.width + 4, Math.max(left + 3, map.x(x1[id]))) + more;
    this.g.strokeStyle = colour;
    this.g.strokeRect(left - 0.5, map.y(row[id]) - 0.5 - more, right - left + 1, map.rowHeight + 2 * more);
  }

  _band(map) {
    const {owner, g} = this;
    if (!owner.range) return;
    const left = map.x(owner.range.from);
    const right = map.x(owner.range.to);
    g.fillStyle = this.css('--rects-range');
    g.globalAlpha = 0.16;
    g.fillRect(left, 0, right - left, map.height);
    g.globalAlpha = 1;
    g.fillRect(left - 0.5, 0, 1, map.height);
    g.fillRect(right - 0.5, 0, 1, map.height);
  }
}
