// What a job made, to look at: its movie, its sound, its picture, or the newest one of what is in the making.
import { jobUrl } from "../../api.js";
import { el, replace } from "../../dom.js";
import { hasEnded } from "../../jobs.js";
import { load } from "../../pictures.js";

const MOVIE = /\.(mp4|webm|m4v|mov|mkv|avi|mpe?g|ts|mxf|ogv)$/i;
const SOUND = /\.(mp3|m4a|aac|ogg|opus|wav|flac)$/i;
const MOVING = /\.(gif|webp|apng)$/i;
const PICTURE = /\.(png|jpe?g|tiff?|exr|bmp|tga|hdr|avif)$/i;
const AGAIN = 2000;

export class Stage {
  /** `element` is hidden while there is nothing to look at. */
  constructor(id) {
    this._id = id;
    this._shown = "";
    this._last = 0;
    this._timer = 0;
    this._stop = new AbortController();
    this.element = el("section", { class: "stage", "aria-label": "What it looks like", hidden: true });
  }

  /** Show a job as it is now, with its outputs by name. */
  update(job, names) {
    clearTimeout(this._timer);
    const [movie, sound, moving] = [MOVIE, SOUND, MOVING].map((kind) => names.find((name) => kind.test(name)));
    if (hasEnded(job) && movie) this._show(`movie ${job.attempt} ${movie}`, () => this._movie(movie));
    else if (hasEnded(job) && sound) this._show(`sound ${job.attempt} ${sound}`, () => this._sound(sound));
    else if (hasEnded(job) && moving) this._show(`picture ${job.attempt} ${moving}`, () => this._picture(jobUrl(this._id, "download", { filename: moving }), moving));
    else if (names.some((name) => PICTURE.test(name)) || !hasEnded(job) && job.attempt > 0) {
      const version = `${job.attempt}.${job.percent_complete}.${job.completed_frames}.${names.length}.${job.status}`;
      this._still(version, hasEnded(job) ? 0 : AGAIN);
    }
  }

  close() {
    clearTimeout(this._timer);
    this._stop.abort();
  }

  _show(key, make) {
    if (this._shown === key) return;
    this._turn(key);
    this._put(make());
  }

  /** What loads for that which was shown is wanted no more. */
  _turn(key) {
    this._shown = key;
    this._stop.abort();
    this._stop = new AbortController();
  }

  _put(...content) {
    replace(this.element, content);
    this.element.hidden = false;
  }

  _load(element, source, onrefused) {
    return load(element, source, { signal: this._stop.signal, onrefused });
  }

  _movie(name) {
    const source = name === "out.mp4" ? `/files/${encodeURIComponent(this._id)}/out.mp4` : jobUrl(this._id, "download", { filename: name });
    const player = this._player(name, { poster: jobUrl(this._id, "thumbnail", { size: "big", filename: name, missing_ok: 1 }) });
    return this._load(player, source, (error) => (error ? this._refuse(error) : this._clip(name)));
  }

  /** What the browser cannot play has a part that it can. */
  _clip(name) {
    const source = jobUrl(this._id, "thumbnail", { size: "big", video_ok: 1, filename: name, missing_ok: 1 });
    const note = el("p", { class: "muted small" }, "This browser does not play the file itself; these are its first seconds. Download it to see all of it.");
    this._put(this._load(this._player(`${name}, its beginning`), source, (error) => this._refuse(error, "play")), note);
  }

  _player(label, props = {}) {
    return el("video", { class: "stage-view", controls: true, loop: true, playsinline: true, preload: "metadata", "aria-label": label, ...props });
  }

  _sound(name) {
    const player = el("audio", { class: "stage-sound", controls: true, preload: "metadata", "aria-label": name });
    return this._load(player, jobUrl(this._id, "download", { filename: name }), (error) => this._refuse(error, "play"));
  }

  _picture(source, name) {
    return this._load(el("img", { class: "stage-view", alt: name }), source, (error) => this._refuse(error, "show"));
  }

  _refuse(error, deed) {
    this._put(el("p", { class: "muted small any" }, error?.message ?? `This browser does not ${deed} this file. Download it.`));
  }

  /** A picture that changes as the job goes on: the next one shows when it is here. */
  _still(version, pause) {
    const key = `still ${version}`;
    if (this._shown === key) return;
    const wait = this._last + pause - Date.now();
    if (pause && wait > 0) {
      this._timer = setTimeout(() => this._still(version, pause), wait);
      return;
    }
    this._turn(key);
    this._last = Date.now();
    const picture = new Image();
    picture.className = "stage-view";
    picture.alt = "The newest picture of this job";
    picture.onload = () => this._shown === key && this._put(picture);
    this._load(picture, jobUrl(this._id, "thumbnail", { size: "big", missing_ok: 1, v: version }), () => {});
  }
}
