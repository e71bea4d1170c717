// The node's time: what its jobs' moments are told in, whatever this machine's own clock says.

class Clock {
  constructor() {
    this._forget();
  }

  /** Milliseconds since 1970. This machine's own, unless what the node said rules that out. */
  now() {
    return Date.now() + Math.min(Math.max(0, this._least), this._most);
  }

  /** Take in an answer's Date, which is cut to whole seconds, and when the request went out. */
  hear(date, sent) {
    const told = Date.parse(date);
    if (Number.isNaN(told)) return;
    const [least, most] = [told - Date.now(), told + 1000 - sent];
    if (least > this._most || most < this._least) this._forget(); // one of the clocks was set
    this._least = Math.max(this._least, least);
    this._most = Math.min(this._most, most);
  }

  /** How much later it may be at the node than here. */
  _forget() {
    Object.assign(this, { _least: -Infinity, _most: Infinity });
  }
}

export const clock = new Clock();
