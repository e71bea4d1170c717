// Asking anew for what a change may have made stale: not too often, never twice at once, and not while nobody looks.

export class Refresh {
  /** `load(signal)` asks and shows; it is called at most every `pause` milliseconds, and its errors go to `onerror`. */
  constructor(load, { pause = 1000, onerror = () => {} } = {}) {
    Object.assign(this, { _load: load, _onerror: onerror, pause });
    this._stop = new AbortController();
    this._wanted = undefined;
    this._had = undefined;
    this._round = 0;
    this._last = -Infinity;
    this._timer = 0;
    this._isBusy = false;
    document.addEventListener("visibilitychange", () => this._next(), { signal: this._stop.signal });
  }

  /** What is shown shall be of this version: any text or number that changes with it. */
  want(version) {
    this._wanted = version;
    this._next();
  }

  /** What was had is stale, whatever its version. */
  again() {
    this._round += 1;
    this._next();
  }

  close() {
    this._stop.abort();
    clearTimeout(this._timer);
  }

  get _version() {
    return `${this._round} ${this._wanted}`;
  }

  _next() {
    clearTimeout(this._timer);
    if (this._isBusy || this._stop.signal.aborted || document.hidden || this._wanted === undefined || this._version === this._had) return;
    this._timer = setTimeout(() => this._run(), Math.max(0, this._last + this.pause - Date.now()));
  }

  async _run() {
    const version = this._version;
    this._isBusy = true;
    this._last = Date.now();
    try {
      await this._load(this._stop.signal);
    } catch (error) {
      if (error.name !== "AbortError") this._onerror(error);
    }
    this._had = version;
    this._isBusy = false;
    this._next();
  }
}
