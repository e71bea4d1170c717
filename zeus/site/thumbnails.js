// The newest picture of jobs that are in sight: asked for when scrolling rests, a few at once, anew as frames come.
import { jobUrl } from "./api.js";
import { hasEnded } from "./jobs.js";
import { load } from "./pictures.js";

const REST = 120;
const AT_ONCE = 3;
const AGAIN = 2000;
const EMPTY_AGAIN = 10000;
const KEPT = 200;

export class Thumbnails {
  constructor() {
    /** What came by job, the one asked for longest ago first: {version, at, picture}; no version: the node could not say. */
    this._known = new Map();
    /** Where a job's picture shall be. */
    this._places = new Map();
    this._jobs = new WeakMap();
    this._loading = new Set();
    this._timer = 0;
    this._stop = new AbortController();
  }

  /** Show a job's picture in a place, now or when it is here. A place shows one job at a time. */
  show(place, job) {
    const before = this._jobs.get(place);
    if (before && before.id !== job.id && this._places.get(before.id) === place) this._places.delete(before.id);
    this._jobs.set(place, job);
    this._places.set(job.id, place);
    const picture = this._known.get(job.id)?.picture;
    if (picture) put(place, picture);
    else if (before?.id !== job.id) place.replaceChildren();
    if (this._due(job) < Infinity) this._later(REST);
  }

  /** Only those that `isShown` says are still wanted. */
  keep(isShown) {
    for (const id of [...this._places.keys()]) if (!isShown(id)) this._places.delete(id);
  }

  close() {
    this._stop.abort();
    clearTimeout(this._timer);
  }

  /** When a job's picture is to be asked for: now (0), at a time, or never as it is (Infinity). */
  _due(job) {
    if (!job.file_count && job.status !== "running" && !job.completed_frames) return Infinity;
    const known = this._known.get(job.id);
    if (!known) return 0;
    if (known.version === version(job)) return Infinity;
    if (known.version === null) return known.at + EMPTY_AGAIN;
    return hasEnded(job) ? 0 : known.at + (known.picture ? AGAIN : EMPTY_AGAIN);
  }

  _later(wait) {
    if (this._stop.signal.aborted) return;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._load(), wait);
  }

  _load() {
    let next = Infinity;
    for (const [id, place] of this._places) {
      const job = this._jobs.get(place);
      if (!job || job.id !== id || this._loading.has(id) || document.hidden) continue;
      const due = this._due(job);
      if (due <= Date.now() && this._loading.size < AT_ONCE) this._ask(job);
      else next = Math.min(next, due);
    }
    if (next < Infinity) this._later(Math.max(REST, next - Date.now()));
  }

  _ask(job) {
    this._loading.add(job.id);
    const picture = new Image();
    picture.alt = "";
    picture.decoding = "async";
    const { signal } = this._stop;
    const ended = (shown, had) => {
      this._loading.delete(job.id);
      if (signal.aborted) return;
      this._keep(job, shown, had);
      const place = this._places.get(job.id);
      if (shown && place) put(place, shown);
      this._later(0);
    };
    picture.onload = () => ended(picture, version(job));
    const onrefused = (error) => ended(null, error?.status >= 500 ? null : version(job));
    load(picture, jobUrl(job.id, "thumbnail", { missing_ok: 1, v: version(job) }), { signal, onrefused });
  }

  _keep(job, picture, had) {
    const before = this._known.get(job.id);
    this._known.delete(job.id);
    this._known.set(job.id, { version: had, at: Date.now(), picture: picture ?? before?.picture ?? null });
    if (this._known.size > KEPT) this._known.delete(this._known.keys().next().value);
  }
}

/** What changes when there is something new to be seen. */
function version(job) {
  const progress = job.status === "running" && !job.completed_frames ? job.percent_complete : job.completed_frames;
  return `${job.attempt}.${progress}.${job.file_count}.${hasEnded(job) ? 1 : 0}`;
}

function put(place, picture) {
  if (place.firstChild !== picture) place.replaceChildren(picture);
}
