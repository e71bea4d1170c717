// Sending a file in pieces: how far it is, how fast, and going on after a lost connection, a restart or a closed page.
import { ApiError, connection, create, errorOf, request, Unreachable } from "./api.js";

const PIECE = 16 * 1024 * 1024;
const BUSY_PAUSE = 1000;
const TRIES = 10;
const WINDOW = 5000;
const TICK = 1000;
/** Milliseconds without a byte after which a request counts as lost. */
const STALLED = 30000;
const KEY = "zeus.upload.";
/** Why a piece is refused for the moment: one that was cut off may still be held. */
const PASSING = new Set(["wrong_offset", "upload_busy", "request_timeout", "incomplete_body"]);

/** The files of this page that were not called off: those with one key share what the node has of them. */
const held = new Set();

/** A file on its way to the node. Sends `change` whenever something of it does. */
export class Upload extends EventTarget {
  constructor(file) {
    super();
    this.file = file;
    this.id = null;
    /** `waiting`, `sending`, `done`, `failed` or `cancelled`. */
    this.state = "waiting";
    this.sent = 0;
    this.error = null;
    this._stop = new AbortController();
    this._samples = [];
    this._key = `${KEY}${file.name}:${file.size}:${file.lastModified}`;
    held.add(this);
  }

  /** Bytes a second over the last few, or null while nobody can know. */
  get rate() {
    const [first, last] = [this._samples[0], this._samples.at(-1)];
    if (!first || last.time - first.time < 300) return null;
    return ((last.sent - first.sent) * 1000) / (last.time - first.time);
  }

  /** Seconds until it is there, or null. */
  get secondsLeft() {
    return this.rate > 0 ? (this.file.size - this.sent) / this.rate : null;
  }

  /** Send it, or what is left of it; its id once all is there. Throws ApiError, or AbortError when it was cancelled. */
  async send() {
    this.error = null;
    this._become("sending");
    try {
      while (!(await this._sendRest().catch((error) => this._overcome(error))));
      this._become("done");
      return this.id;
    } catch (error) {
      this.error = error;
      this._become(this._stop.signal.aborted ? "cancelled" : "failed");
      throw error;
    }
  }

  /** Nobody needs it any more; what the node has of it goes after a day. */
  leave() {
    held.delete(this);
  }

  /** Stop, and let the node forget what came, unless the same file is here once more. */
  async cancel() {
    this._stop.abort();
    this.leave();
    if ([...held].some((other) => other._key === this._key)) return;
    localStorage.removeItem(this._key);
    for (let tries = 0; this.id && tries < TRIES; tries += 1) {
      try {
        return void (await request("DELETE", `/api/uploads/${this.id}`));
      } catch (error) {
        if (error.code !== "upload_busy") return; // unused ones go after a day
        await pause(BUSY_PAUSE);
      }
    }
  }

  /** Whether all is there. Throws what stopped it. */
  async _sendRest() {
    await this._begin();
    while (this.sent < this.file.size) await this._sendPiece();
    return true;
  }

  /** Go on with what was begun, by an earlier page too, or begin. */
  async _begin() {
    const known = this.id ?? localStorage.getItem(this._key);
    const { signal } = this._stop;
    if (known) {
      try {
        return this._know(await request("GET", `/api/uploads/${known}`, { signal }));
      } catch (error) {
        if (!(error instanceof ApiError) || ![400, 404].includes(error.status)) throw error;
      }
    }
    this._know(await create("/api/uploads", { name: this.file.name, size: this.file.size }, { signal }));
    return localStorage.setItem(this._key, this.id);
  }

  _know({ id, offset }) {
    this.id = id;
    this._samples = [];
    this._reach(offset);
  }

  async _sendPiece() {
    const offset = this.sent;
    const { status, text, retryAfter } = await this._patch(offset);
    if (!status) throw new Unreachable();
    if (status !== 204) throw errorOf(status, text, retryAfter);
    this._reach(Math.min(offset + PIECE, this.file.size));
  }

  /** Wait until what stopped it has passed. Throws what does not pass by itself. */
  async _overcome(error) {
    const { signal } = this._stop;
    this._samples = [];
    this._change();
    if (error instanceof Unreachable) {
      await this._checkFile(); // a browser says of both that there was no answer
      connection.lose();
      await connection.whenBack(signal);
    } else if (PASSING.has(error.code) || error.status === 503) {
      await pause(error.retryAfter ? error.retryAfter * 1000 : BUSY_PAUSE, signal);
    } else if (error.status !== 401) {
      throw error; // who must sign in is asked when it goes on
    }
  }

  async _checkFile() {
    try {
      const at = Math.min(this.sent, this.file.size - 1);
      await this.file.slice(at, at + 1).arrayBuffer();
    } catch {
      this._stop.signal.throwIfAborted();
      throw new Error("The file has changed, or cannot be read any more.");
    }
  }

  /** Send one piece; status 0 when no answer came. An XMLHttpRequest: fetch tells no progress of what it sends. */
  _patch(offset) {
    return new Promise((resolve, reject) => {
      const call = new XMLHttpRequest();
      let moved = performance.now();
      const stop = () => call.abort();
      const watch = setInterval(() => {
        if (performance.now() - moved > STALLED) stop();
        else this._reach(this.sent); // so that its speed falls when nothing moves
      }, TICK);
      const end = (status) => {
        clearInterval(watch);
        this._stop.signal.removeEventListener("abort", stop);
        if (this._stop.signal.aborted) return reject(this._stop.signal.reason);
        const retryAfter = Number(status && call.getResponseHeader("Retry-After")) || null;
        return resolve({ status: status === 502 || status === 504 ? 0 : status, text: call.responseText, retryAfter });
      };
      call.open("PATCH", `/api/uploads/${this.id}`);
      call.setRequestHeader("Content-Type", "application/offset+octet-stream");
      call.setRequestHeader("Upload-Offset", String(offset));
      call.upload.onprogress = (event) => {
        moved = performance.now();
        this._reach(offset + event.loaded);
      };
      call.onload = () => end(call.status);
      call.onerror = () => end(0);
      call.onabort = () => end(0);
      this._stop.signal.addEventListener("abort", stop);
      if (this._stop.signal.aborted) return end(0);
      return call.send(this.file.slice(offset, offset + PIECE));
    });
  }

  _reach(sent) {
    this.sent = sent;
    const time = performance.now();
    this._samples.push({ time, sent });
    while (time - this._samples[0].time > WINDOW) this._samples.shift();
    this._change();
  }

  _become(state) {
    this.state = state;
    this._change();
  }

  _change() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Wait; rejects with the signal's reason. */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}
