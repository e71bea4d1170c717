// Talking to the node: requests, its errors in its own words, and what is done when it cannot be reached.
import { clock } from "./clock.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000;
const HEARTBEAT_LIMIT = 5000;
/** Milliseconds after which reading counts as lost. */
const READ_LIMIT = 60000;

/** What the node refused, as it says it. */
export class ApiError extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.name = "ApiError";
    Object.assign(this, { status, code, retryAfter });
  }

  /** The field that it is about, such as `width` of "args.width: ...", what is said of it, and of which job. */
  get field() {
    const found = /^(?:Job (\d+) of the list: )?(?:args\.)?([A-Za-z_][\w.-]*)(?:\[[^\]]*\])*: (.+)$/s.exec(
      this.message,
    );
    return found && { index: Number(found[1] ?? 0), name: found[2], message: found[3] };
  }
}

/** No answer at all: the node is down, or what is between. */
export class Unreachable extends Error {
  constructor() {
    super("The node cannot be reached.");
    this.name = "Unreachable";
  }
}

/** Whether the node answers. Sends `change` when that changes and when a new try is due; asks again by itself. */
class Connection extends EventTarget {
  constructor() {
    super();
    this.isLost = false;
    this.nextTry = 0;
    this._wait = FIRST_WAIT;
    this._timer = 0;
    this._cut = new AbortController();
    addEventListener("offline", () => this.lose());
    addEventListener("online", () => this.isLost && this.tryNow());
  }

  /** Aborted with the next loss: what is under way then may never be answered. */
  get cut() {
    return this._cut.signal;
  }

  /** A request got no answer. */
  lose() {
    if (this.isLost) return;
    this.isLost = true;
    this._wait = FIRST_WAIT;
    this._later();
    const cut = this._cut;
    this._cut = new AbortController();
    cut.abort();
  }

  /** An answer came. */
  found() {
    if (!this.isLost) return;
    clearTimeout(this._timer);
    this.isLost = false;
    this.dispatchEvent(new Event("change"));
  }

  /** Resolves once the node answers; rejects with the signal's reason. */
  async whenBack(signal) {
    while (this.isLost) {
      await new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const stop = () => reject(signal.reason);
        signal?.addEventListener("abort", stop, { once: true });
        const done = () => {
          signal?.removeEventListener("abort", stop);
          resolve();
        };
        this.addEventListener("change", done, { once: true });
      });
    }
  }

  async tryNow() {
    clearTimeout(this._timer);
    this.nextTry = 0;
    this.dispatchEvent(new Event("change"));
    try {
      answered(await fetch("/api/heartbeat", { signal: AbortSignal.timeout(HEARTBEAT_LIMIT) }));
      this.found();
    } catch {
      this._wait = Math.min(this._wait * 2, LONGEST_WAIT);
      this._later();
    }
  }

  _later() {
    clearTimeout(this._timer);
    this.nextTry = Date.now() + this._wait;
    this._timer = setTimeout(() => this.tryNow(), this._wait);
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();

/** What asks for a token when the node wants one; resolves once there is a session. app.js sets it. */
let askForToken = () => Promise.reject(new Error("nobody asks for a token"));

export function signInBy(ask) {
  askForToken = ask;
}

/**
 * A request and its answer: what `decode` makes of it, by default its JSON, other text as it is, null where there is none.
 *
 * What may be repeated (reading, and creating with a key of its own) waits for a lost node and goes on; else
 * Unreachable is thrown. Reading is lost after `limit` milliseconds. A node that wants a token gets one first. Throws
 * ApiError for whatever the node refuses.
 */
export async function request(method, path, { json, headers = {}, decode = decoded, ...how } = {}) {
  const { signal, waits = method === "GET", limit = method === "GET" ? READ_LIMIT : 0 } = how;
  const options = { method, headers: { Accept: "application/json", ...headers } };
  if (json !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(json);
  }
  for (;;) {
    const ends = [signal, waits && connection.cut, limit && AbortSignal.timeout(limit)].filter(Boolean);
    try {
      return decode(...(await exchange(path, { ...options, signal: AbortSignal.any(ends) }, signal)));
    } catch (error) {
      if (error instanceof Unreachable && waits) await connection.whenBack(signal);
      else if (error instanceof ApiError && error.status === 401 && path !== "/api/session") await askForToken();
      else throw error;
    }
  }
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, json, options) => request("POST", path, { json, ...options });

/** Create something: sent again after a lost connection without making it twice. */
export function create(path, json, options = {}) {
  const headers = { ...options.headers, "Idempotency-Key": randomKey() };
  return post(path, json, { ...options, headers, waits: true });
}

/** A path with parameters; those that are null or undefined are left out. */
export function url(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Where a job's things are: `jobUrl(id, "download", { filename })`. */
export function jobUrl(id, action = "", parameters = {}) {
  return url(`/api/jobs/${encodeURIComponent(id)}${action && `/${action}`}`, parameters);
}

/** The error that a body with this status tells. */
export function errorOf(status, body, retryAfter = null) {
  let told = {};
  try {
    told = JSON.parse(body) ?? {};
  } catch {
    // A proxy's page, say: its status is all there is.
  }
  const message = typeof told.message === "string" ? told.message : `The node answered with status ${status}.`;
  return new ApiError(status, String(told.error ?? "unknown"), message, retryAfter);
}

function randomKey() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((each) => each.toString(36)).join("-");
}

/** An answer and its body. Throws Unreachable where none comes, the reason of `signal` where that ends it, and ApiError. */
async function exchange(path, options, signal) {
  const sent = Date.now();
  let response, body;
  try {
    response = answered(await fetch(path, options));
    clock.hear(response.headers.get("Date"), sent);
    body = await response.arrayBuffer();
  } catch {
    signal?.throwIfAborted();
    connection.lose();
    throw new Unreachable();
  }
  connection.found();
  if (!response.ok) throw errorOf(response.status, textOf(body), Number(response.headers.get("Retry-After")) || null);
  return [response, body];
}

/** An answer of the node. A proxy that gets none says so by its status, which is no answer. */
function answered(response) {
  if (response.status === 502 || response.status === 504) throw new Unreachable();
  return response;
}

function decoded(response, body) {
  if (!body.byteLength) return null;
  return response.headers.get("Content-Type")?.startsWith("application/json") ? JSON.parse(textOf(body)) : textOf(body);
}

const textOf = (body) => new TextDecoder().decode(body);
