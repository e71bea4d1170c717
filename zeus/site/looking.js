// Whether anybody looks at the page: what waits for news rests meanwhile, as browsers open few connections to a node.

const LINGER = 5000;

class Looking {
  constructor() {
    this._away = new AbortController();
    this._timer = 0;
    this._waiting = [];
    document.addEventListener("visibilitychange", () => this._look());
    this._look();
  }

  /** Aborted once the page has been hidden for a while. */
  get signal() {
    return this._away.signal;
  }

  /** Resolves at once, or where the signal is aborted, as soon as the page is shown again. */
  async whenBack() {
    if (this.signal.aborted) await new Promise((resolve) => this._waiting.push(resolve));
  }

  _look() {
    clearTimeout(this._timer);
    if (document.hidden) this._timer = setTimeout(() => this._away.abort(), LINGER);
    else if (this.signal.aborted) this._return();
  }

  _return() {
    this._away = new AbortController();
    for (const resolve of this._waiting.splice(0)) resolve();
  }
}

export const looking = new Looking();
