// Long lists of which only what can be seen is in the document: rows, or cells in columns, of one size, used again.

const SPARE = 4;
const KEPT = 60;

export class VirtualList {
  /**
   * `place` holds the rows, `scroller` scrolls it (the window, unless given). `make()` gives `{element, show(item, at)}`
   * and `get(key)` the item of a key. `height` of a row and the least `width` of a cell are functions, in pixels; cells
   * are `--cell` wide, and without `width` a row is as wide as the place. `inset()` gives what covers the scroller's edges, `onview(from, to)` is told what
   * is in sight.
   */
  constructor(place, { scroller = null, make, get, height, width = null, inset = () => [0, 0], onview = () => {} }) {
    Object.assign(this, { _place: place, _scroller: scroller, _make: make, _get: get, _heightOf: height, _widthOf: width });
    Object.assign(this, { _inset: inset, _onview: onview, _rows: new Map(), _free: [], _frame: 0, _isStale: false });
    this.keys = [];
    this.columns = 1;
    this._stop = new AbortController();
    const later = () => this._later();
    (scroller ?? window).addEventListener("scroll", later, { passive: true, signal: this._stop.signal });
    addEventListener("resize", later, { passive: true, signal: this._stop.signal });
    this._sizes = new ResizeObserver(later);
    this._sizes.observe(scroller ?? place);
    place.classList.add("virtual");
  }

  /** Show these keys, each once. What is at the upper edge stays there, if the list was scrolled. */
  set(keys) {
    const anchor = this._anchor();
    this.keys = keys;
    if (anchor) {
      const at = keys.indexOf(anchor.key);
      if (at >= 0) this._scrollBy((Math.floor(at / this.columns) - anchor.row) * this._height);
    }
    this.draw();
  }

  /** Show the items as they are now, all of them or those whose object is another one. */
  refresh({ all = false } = {}) {
    this._isStale ||= all;
    this._later();
  }

  /** Scroll as far as it needs for an entry to be in sight. */
  reveal(at) {
    this._measure();
    const view = this._view();
    const top = Math.floor(at / this.columns) * this._height;
    if (top < view.top) this._scrollBy(top - view.top);
    else if (top + this._height > view.bottom) this._scrollBy(top + this._height - view.bottom);
    this.draw();
  }

  /** How many entries are in sight at once. */
  get page() {
    const view = this._view();
    return Math.max(1, Math.floor((view.bottom - view.top) / this._height) - 1) * this.columns;
  }

  /** The element of a key, if it is in the document. */
  element(key) {
    return this._rows.get(key)?.row.element ?? null;
  }

  close() {
    this._stop.abort();
    this._sizes.disconnect();
    cancelAnimationFrame(this._frame);
  }

  draw() {
    cancelAnimationFrame(this._frame);
    this._frame = 0;
    this._measure();
    const [from, to] = this._range();
    const wanted = this.keys.slice(from, to);
    this._recycle(new Set(wanted));
    let next = this._place.firstElementChild;
    wanted.forEach((key, place) => {
      const { element } = this._show(key, from + place);
      if (element === next) next = next.nextElementSibling;
      else this._place.insertBefore(element, next); // in order, for those who hear it
    });
    this._isStale = false;
    this._onview(from, to);
  }

  _later() {
    this._frame ||= requestAnimationFrame(() => this.draw());
  }

  _measure() {
    this._height = this._heightOf();
    const width = this._widthOf?.();
    const wide = this._place.clientWidth;
    this.columns = width ? Math.max(1, Math.floor(wide / width)) : 1;
    if (width && this._width !== wide / this.columns) {
      this._width = wide / this.columns;
      this._place.style.setProperty("--cell", `${this._width}px`);
    }
    const height = `${Math.ceil(this.keys.length / this.columns) * this._height}px`;
    if (this._place.style.height !== height) this._place.style.height = height;
  }

  _range() {
    const { top, bottom } = this._view();
    const first = Math.max(0, Math.floor(top / this._height) - SPARE);
    const last = Math.max(first, Math.ceil(bottom / this._height) + SPARE);
    return [first * this.columns, Math.min(this.keys.length, last * this.columns)];
  }

  /** What is in sight, counted from the place's upper edge, in its own pixels: a zoomed page's are larger. */
  _view() {
    const [box, [above, below]] = [this._place.getBoundingClientRect(), this._inset()];
    const zoom = (this._zoom = box.width / this._place.offsetWidth || 1);
    const around = this._scroller?.getBoundingClientRect() ?? { top: 0, bottom: innerHeight };
    return { top: (around.top - box.top) / zoom + above, bottom: (around.bottom - box.top) / zoom - below };
  }

  _anchor() {
    if (!this._height || !this.keys.length) return null;
    const above = this._view().top;
    if (above <= 0) return null;
    const row = Math.floor(above / this._height);
    return { row, key: this.keys[row * this.columns] };
  }

  _scrollBy(pixels) {
    if (!pixels) return;
    this._measure();
    const top = this._scroller ? pixels : pixels * this._zoom; // the window does not count in a zoomed page's pixels
    (this._scroller ?? window).scrollBy({ top, behavior: "instant" });
  }

  /** Take the rows of entries that are out of sight, for others. */
  _recycle(wanted) {
    for (const [key, shown] of this._rows) {
      if (wanted.has(key)) continue;
      this._rows.delete(key);
      shown.row.element.remove();
      if (this._free.length < KEPT) this._free.push(shown);
    }
  }

  _show(key, at) {
    let shown = this._rows.get(key);
    const isNew = !shown;
    if (isNew) {
      shown = this._free.pop() ?? { row: this._make(), item: null, at: -1, x: -1, y: -1 };
      this._rows.set(key, shown);
    }
    const item = this._get(key);
    const isOther = isNew || this._isStale || shown.item !== item || shown.at !== at;
    if (isOther && item !== undefined) shown.row.show(item, at); // what is gone will be gone from the keys in a moment
    const [x, y] = [(at % this.columns) * (this._width ?? 0), Math.floor(at / this.columns) * this._height];
    if (shown.x !== x || shown.y !== y) shown.row.element.style.transform = `translate(${x}px, ${y}px)`;
    Object.assign(shown, { item, at, x, y });
    return shown.row;
  }
}
