// Sending a file in pieces: how far it is, how fast, and going on after a lost connection, a restart or a closed page.
import { ApiError, connection, create, errorOf, request } from "./api.js";

const PIECE = 16 * 1024 * 1024;
const BUSY_PAUSE = 1000;
const TRIES = 10;
const WINDOW = 5000;
const KEY = "zeus.upload.";

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

  /** Send it; its id once all is there. Throws ApiError, or AbortError when it was cancelled. */
  async send() {
    this._become("sending");
    try {
      await this._begin();
      while (this.sent < this.file.size) await this._sendPiece();
      this._become("done");
      return this.id;
    } catch (error) {
      this.error = error;
      this._become(this._stop.signal.aborted ? "cancelled" : "failed");
      throw error;
    }
  }

  /** Stop, and let the node forget what came. */
  async cancel() {
    this._stop.abort();
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

  /** Go on with what an earlier page began, or begin. */
  async _begin() {
    const known = localStorage.getItem(this._key);
    if (known) {
      try {
        return await this._ask(known);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        localStorage.removeItem(this._key);
      }
    }
    const about = { name: this.file.name, size: this.file.size };
    this._know(await create("/api/uploads", about, { signal: this._stop.signal }));
    localStorage.setItem(this._key, this.id);
  }

  /** Let the node say how far it came. */
  async _ask(id) {
    this._know(await request("GET", `/api/uploads/${id}`, { signal: this._stop.signal }));
  }

  _know({ id, offset }) {
    this.id = id;
    this._samples = [];
    this._reach(offset);
  }

  async _sendPiece() {
    const offset = this.sent;
    const { status, text } = await this._patch(offset);
    if (status === 204) return this._reach(Math.min(offset + PIECE, this.file.size));
    const error = status ? errorOf(status, text) : null;
    if (!error) {
      connection.lose();
      await connection.whenBack(this._stop.signal);
    } else if (error.status === 409) {
      await pause(BUSY_PAUSE); // the broken request may still be held
    } else if (error.status !== 401) {
      throw error;
    }
    await this._ask(this.id);
  }

  /** Send one piece; status 0 when no answer came. An XMLHttpRequest: fetch tells no progress of what it sends. */
  _patch(offset) {
    return new Promise((resolve, reject) => {
      const call = new XMLHttpRequest();
      const stop = () => call.abort();
      const end = (status) => {
        this._stop.signal.removeEventListener("abort", stop);
        if (this._stop.signal.aborted) reject(this._stop.signal.reason);
        else resolve({ status: status === 502 || status === 504 ? 0 : status, text: call.responseText });
      };
      call.open("PATCH", `/api/uploads/${this.id}`);
      call.setRequestHeader("Content-Type", "application/offset+octet-stream");
      call.setRequestHeader("Upload-Offset", String(offset));
      call.upload.onprogress = (event) => this._reach(offset + event.loaded);
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

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
