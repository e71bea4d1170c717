// Asking anew for what a change may have made stale: not too often, never twice at once, and not while nobody looks.
import { el, text } from "./dom.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15000;

export class Refresh {
  /**
   * `load(signal)` asks and shows; it is called at most every `pause` milliseconds, and after an error until it succeeds.
   * `what` is said before an error, where it stands in a place that does not tell.
   */
  constructor(load, { pause = 1000, what = "" } = {}) {
    Object.assign(this, { _load: load, pause, _what: what && `${what}: ` });
    /** Says what went wrong, as long as it does. To be put where what is missing would be. */
    this.problem = el("p", { class: "problem", role: "alert" });
    this._stop = new AbortController();
    this._wanted = undefined;
    this._had = undefined;
    this._round = 0;
    this._last = -Infinity;
    this._failures = 0;
    this._wait = 0;
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
    const due = this._last + Math.max(this.pause, this._wait);
    this._timer = setTimeout(() => this._run(), Math.max(0, due - performance.now()));
  }

  async _run() {
    const version = this._version;
    this._isBusy = true;
    this._last = performance.now();
    try {
      await this._load(this._stop.signal);
      this._had = version;
      this._failures = this._wait = 0;
      text(this.problem, "");
    } catch (error) {
      if (this._stop.signal.aborted) return;
      this._fail(error);
    }
    this._isBusy = false;
    this._next();
  }

  _fail(error) {
    this._last = performance.now();
    this._wait = Math.max((error.retryAfter ?? 0) * 1000, Math.min(FIRST_WAIT * 2 ** this._failures, LONGEST_WAIT));
    this._failures += 1;
    text(this.problem, this._what + error.message);
  }
}
