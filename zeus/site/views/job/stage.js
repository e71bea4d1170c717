// What a job made, to look at: its movie, its sound, its picture, or the newest one of what is in the making.
import { jobUrl } from "../../api.js";
import { el, replace } from "../../dom.js";
import { hasEnded } from "../../jobs.js";

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
  }

  _show(key, make) {
    if (this._shown === key) return;
    this._shown = key;
    replace(this.element, make());
    this.element.hidden = false;
  }

  _movie(name) {
    const source = name === "out.mp4" ? `/files/${encodeURIComponent(this._id)}/out.mp4` : jobUrl(this._id, "download", { filename: name });
    const player = el("video", { class: "stage-view", controls: true, loop: true, playsinline: true, preload: "metadata", "aria-label": name, src: source,
      poster: jobUrl(this._id, "thumbnail", { size: "big", filename: name, missing_ok: 1 }) });
    player.addEventListener("error", () => this._clip(name), { once: true });
    return player;
  }

  /** What the browser cannot play has a part that it can. */
  _clip(name) {
    const clip = el("video", { class: "stage-view", controls: true, loop: true, playsinline: true, preload: "metadata", "aria-label": `${name}, its beginning`,
      src: jobUrl(this._id, "thumbnail", { size: "big", video_ok: 1, filename: name, missing_ok: 1 }) });
    const note = el("p", { class: "muted small" }, "This browser does not play the file itself; these are its first seconds. Download it to see all of it.");
    clip.addEventListener("error", () => replace(this.element, el("p", { class: "muted small" }, "This browser does not play this file. Download it to see it.")), { once: true });
    replace(this.element, clip, note);
  }

  _sound(name) {
    return el("audio", { class: "stage-sound", controls: true, preload: "metadata", "aria-label": name, src: jobUrl(this._id, "download", { filename: name }) });
  }

  _picture(source, name) {
    return el("img", { class: "stage-view", src: source, alt: name });
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
    this._shown = key;
    this._last = Date.now();
    const picture = new Image();
    picture.className = "stage-view";
    picture.alt = "The newest picture of this job";
    picture.onload = () => {
      if (this._shown !== key) return;
      replace(this.element, picture);
      this.element.hidden = false;
    };
    picture.src = jobUrl(this._id, "thumbnail", { size: "big", missing_ok: 1, v: version });
  }
}
