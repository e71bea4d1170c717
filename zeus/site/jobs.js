// The one store of jobs: loaded page by page, kept up to date by long_poll, over restarts of the node too.
import { connection, get, url } from "./api.js";
import { looking } from "./looking.js";

const PAGE = 200;
const POLL_SECONDS = 20;
/** Milliseconds that an answer may come late: a connection that broke without a word is noticed by this. */
const LATE = 10000;
const PAUSE = 200;
const TROUBLE_PAUSE = 2000;
const ENDED = new Set(["finished", "failed", "cancelled"]);

/** Whether a job has come to an end. */
export const hasEnded = (job) => ENDED.has(job.status);

class JobStore {
  constructor() {
    this._jobs = new Map();
    this._list = [];
    this._listeners = new Set();
    this._token = null;
    this._started = false;
    this._news = null;
    /** Whether all pages are here. */
    this.isComplete = false;
    /** Why the jobs, or news of them, cannot be had, or null. */
    this.error = null;
  }

  /** All jobs, the newest first. Not to be changed. */
  get list() {
    return this._list;
  }

  get(id) {
    return this._jobs.get(id);
  }

  /**
   * Hear of changes: `{changed, removed}`, sets of ids, at most once a frame; the function that ends it. The first one
   * to listen starts the store.
   */
  subscribe(listener) {
    this._listeners.add(listener);
    if (!this._started) this._run();
    return () => this._listeners.delete(listener);
  }

  /** Take in what an action answered, so that it shows before the next poll. Another node's jobs are not of this list. */
  put(job) {
    const known = this._jobs.get(job.id);
    if (known && job.revision >= known.revision) this._put(job);
  }

  /** Forget a job that was just deleted. */
  drop(id) {
    this._drop(id);
  }

  async _run() {
    this._started = true;
    for (;;) {
      try {
        if (this._token === null) await this._load();
        await looking.whenBack();
        await this._poll();
        this._setError(null);
      } catch (error) {
        if (error.name === "AbortError") continue; // nobody looks any more
        this._setError(error);
        await pause(error.retryAfter ? error.retryAfter * 1000 : TROUBLE_PAUSE);
      }
      await connection.whenBack();
    }
  }

  _setError(error) {
    if (this.error === error) return;
    this.error = error;
    this._tell(null);
  }

  async _load() {
    let page = await get(url("/api/jobs", { limit: PAGE }));
    const { token } = page;
    this._forgetAllBut(page.jobs);
    while (page.jobs.length === PAGE) {
      const after = page.jobs.at(-1).id;
      try {
        page = await get(url("/api/jobs", { limit: PAGE, after }));
      } catch (error) {
        if (error.code !== "invalid_field" && error.status !== 404) throw error;
        return this._load(); // the last one of the page was removed meanwhile
      }
      for (const job of page.jobs) if (!this._jobs.has(job.id)) this._put(job, { isLast: true });
    }
    this._token = token;
    this.isComplete = true;
    this._tell(null);
  }

  async _poll() {
    const timeout = this.error ? 1 : POLL_SECONDS; // whether it goes on is to be known soon
    const news = await get(url("/api/jobs/long_poll", { token: this._token, changes_only: 1, timeout }), {
      signal: looking.signal,
      limit: timeout * 1000 + LATE,
    });
    if (news === null) return;
    this._token = news.token;
    if (news.removed) {
      for (const id of news.removed) this._drop(id);
      for (const job of news.jobs) this._put(job);
    } else {
      this._forgetAllBut(news.jobs);
    }
    await pause(PAUSE); // a busy node is asked five times a second, not without end
  }

  _forgetAllBut(jobs) {
    const here = new Set(jobs.map((job) => job.id));
    for (const id of [...this._jobs.keys()]) if (!here.has(id)) this._drop(id);
    for (const job of jobs) this._put(job, { isLast: true });
    this._tell(null);
  }

  /** Of jobs that were added together the last to come is the newest, unless they come as they are listed: `isLast`. */
  _put(job, { isLast = false } = {}) {
    const known = this._jobs.get(job.id);
    this._jobs.set(job.id, job);
    if (known) this._list[this._place(known)] = job;
    else this._list.splice(this._before(job, isLast), 0, job);
    this._tell("changed", job.id);
  }

  _drop(id) {
    const known = this._jobs.get(id);
    if (!known) return;
    this._list.splice(this._place(known), 1);
    this._jobs.delete(id);
    this._tell("removed", id);
  }

  /** Where a new job belongs: before all that are older, or behind those as old. Found by halving, the list has an order. */
  _before(job, isLast = false) {
    let [low, high] = [0, this._list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const date = this._list[middle].date_created;
      if (date > job.date_created || (isLast && date === job.date_created)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  _place(job) {
    for (let place = this._before(job); place < this._list.length; place += 1) {
      if (this._list[place].id === job.id) return place;
    }
    return this._list.indexOf(job);
  }

  /** Collect news; listeners get them together with the next frame, or soon where the page is not shown. */
  _tell(kind, id) {
    if (!this._news) {
      this._news = { changed: new Set(), removed: new Set() };
      const deliver = () => {
        const news = this._news;
        this._news = null;
        for (const listener of [...this._listeners]) listener(news);
      };
      if (document.visibilityState === "visible") requestAnimationFrame(deliver);
      else setTimeout(deliver, PAUSE);
    }
    if (kind) this._news[kind].add(id);
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export const jobs = new JobStore();
