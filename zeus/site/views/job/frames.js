// A job's frames: a grid that fills in, and one of them large.
import { get, jobUrl } from "../../api.js";
import { el, replace, text, uniqueId } from "../../dom.js";
import { count, duration, pace } from "../../format.js";
import { icon } from "../../icons.js";
import { statusWord } from "../../jobparts.js";
import { hasEnded } from "../../jobs.js";
import { load } from "../../pictures.js";
import { Refresh } from "../../refresh.js";
import { VirtualList } from "../../virtual.js";

const SMALL_FROM = 600;
/** How many are asked for at once, and listed at most. */
const PAGE = 10000;
const MOST = 200000;
/** Milliseconds between two times that a job in work is asked: more where it has many frames. */
const [SHORTEST, LONGEST] = [1000, 5000];
const [LARGE, SMALL] = [{ width: 52, height: 34 }, { width: 15, height: 15 }];

export class Frames {
  /** `element` is hidden while the job has no frames. */
  constructor(id) {
    this._id = id;
    this._frames = [];
    this._total = 0;
    /** The names of the outputs by frame; null until they are known. */
    this._files = null;
    this._revision = 0;
    this._active = 0;
    this._dialog = null;
    this._prefix = uniqueId("frame");
    this._told = el("span", { class: "muted small numbers" });
    this._place = el("div", { class: "frame-cells" });
    this._box = el("div", {
      class: "frame-box", role: "listbox", tabindex: 0, "aria-label": "Frames",
      onkeydown: (event) => this._key(event), onclick: (event) => this._click(event),
    }, this._place);
    this.element = el("section", { class: "card stack", "aria-label": "Frames", hidden: true },
      el("div", { class: "row between" }, el("h2", {}, "Frames"), this._told), this._box);
    this._place.setAttribute("role", "presentation");
    this._list = new VirtualList(this._place, {
      scroller: this._box, make: () => this._cell(), get: (at) => this._frames[at],
      height: () => this._size.height, width: () => this._size.width,
    });
    this._refresh = new Refresh((signal) => this._load(signal), { what: "Frames" });
    /** Says why there is nothing new of them, where it is told. */
    this.problem = this._refresh.problem;
    this._outputs = new Refresh((signal) => this._loadFiles(signal), { pause: SHORTEST });
  }

  /** Follow a job as it is now. */
  update(job) {
    if (job.total_frames === null) return;
    this._refresh.pause = hasEnded(job) ? 0 : Math.min(LONGEST, Math.max(SHORTEST, job.total_frames / 2));
    this._refresh.want(`${job.revision}`);
  }

  /** The job's outputs may be others now. Which of them are of which frame is asked for while one is looked at. */
  setFiles() {
    this._revision += 1;
    if (this._dialog) this._outputs.want(this._revision);
  }

  close() {
    this._refresh.close();
    this._outputs.close();
    this._list.close();
    this._dialog?.remove();
  }

  get _size() {
    return this._frames.length > SMALL_FROM ? SMALL : LARGE;
  }

  async _load(signal) {
    const { frames, total } = await this._ask(signal);
    const before = this._frames;
    this._frames = frames.map((frame, at) => (isSame(before[at], frame) ? before[at] : frame));
    this.element.hidden = !frames.length;
    this._box.classList.toggle("small", this._size === SMALL);
    if (before.length === frames.length) this._list.refresh();
    else this._list.set(frames.map((_, at) => at));
    this._total = total;
    this._tell();
    this._dialog?.update();
  }

  /** All frames, page by page. */
  async _ask(signal) {
    const frames = [];
    for (;;) {
      const start = frames.length ? frames.at(-1).frame + 1 : null;
      const page = await get(jobUrl(this._id, "frames", { start, limit: PAGE }), { signal });
      frames.push(...page.frames);
      if (!page.frames.length || frames.length >= Math.min(page.total, MOST)) return { frames, total: page.total };
    }
  }

  async _loadFiles(signal) {
    const files = await get(jobUrl(this._id, "files", { response_type: "full" }), { signal });
    this._files = new Map();
    for (const { name, frame } of files) {
      const number = frame ?? numberIn(name);
      if (number !== null) this._files.set(number, [...(this._files.get(number) ?? []), name]);
    }
    this._dialog?.update();
  }

  _tell() {
    const made = this._frames.filter((frame) => frame.state === "finished");
    const failed = this._frames.filter((frame) => frame.state === "failed").length;
    const times = made.map((frame) => frame.seconds).filter((each) => each !== null);
    const speed = times.length ? pace(times.reduce((sum, each) => sum + each, 0) / times.length) : "";
    const isCut = this._frames.length < this._total && `the first ${this._frames.length.toLocaleString("en-GB")} are shown`;
    const parts = [`${made.length.toLocaleString("en-GB")} of ${count(this._total, "frame")}`, isCut, failed && `${failed} failed`, speed];
    text(this._told, parts.filter(Boolean).join(" · "));
  }

  _cell() {
    const number = el("span", { class: "numbers" });
    const element = el("div", { role: "option" }, el("div", { class: "frame-cell" }, number));
    const show = (frame, at) => {
      element.id = `${this._prefix}-${at}`;
      element.setAttribute("aria-posinset", at + 1);
      element.setAttribute("aria-setsize", this._frames.length);
      element.setAttribute("aria-selected", at === this._active);
      element.className = `frame frame-${frame.state}${at === this._active ? " active" : ""}`;
      element.title = describe(frame);
      element.setAttribute("aria-label", element.title);
      text(number, frame.frame);
    };
    return { element, show };
  }

  _key(event) {
    const { columns } = this._list;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity, PageDown: this._list.page, PageUp: -this._list.page };
    if (event.key in steps) this._activate(this._active + steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") this._open();
    else return;
    event.preventDefault();
  }

  _click(event) {
    const cell = event.target.closest("[role=option]");
    if (!cell) return;
    this._activate(Number(cell.getAttribute("aria-posinset")) - 1);
    this._open();
  }

  _activate(at) {
    this._active = Math.min(Math.max(at, 0), this._frames.length - 1);
    this._box.setAttribute("aria-activedescendant", `${this._prefix}-${this._active}`);
    this._list.reveal(this._active);
    this._list.refresh({ all: true });
  }

  _open() {
    this._dialog = new FrameDialog(this._id, {
      frame: () => this._frames[this._active],
      files: (number) => this._files && (this._files.get(number) ?? []),
      move: (step) => this._activate(this._active + step),
      onclose: () => {
        this._dialog = null;
        this._box.focus();
      },
    });
    this._outputs.want(this._revision);
  }
}

/** One frame large, with the way to its neighbours. */
class FrameDialog {
  /** `files(number)`: the names of a frame's outputs, null while they are not known. */
  constructor(id, { frame, files, move, onclose }) {
    Object.assign(this, { _id: id, _frame: frame, _files: files, _shown: null, _stop: new AbortController() });
    const step = (by) => () => {
      move(by);
      this.update();
    };
    const button = (label, drawn, by) => el("button", { class: "button quiet", type: "button", "aria-label": label, onclick: step(by) }, icon(drawn));
    this._title = el("h2", { class: "numbers", id: "frame-title" });
    this._about = el("p", { class: "muted small any", role: "status" });
    this._stage = el("div", { class: "frame-stage" });
    this._links = el("div", { class: "row" });
    const back = button("The frame before", "chevron", -1);
    back.classList.add("frame-back");
    this._element = el("dialog", {
      class: "dialog frame-dialog", "aria-labelledby": "frame-title",
      onclose: () => {
        this._stop.abort();
        this._element.remove();
        onclose();
      },
      onkeydown: (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
        if (by) step(by)();
      },
      onclick: (event) => event.target === this._element && this._element.close(),
    },
    el("div", { class: "frame-head" }, el("div", { class: "frame-words" }, this._title, this._about), this._links,
      el("button", { class: "button quiet", type: "button", "aria-label": "Close", onclick: () => this._element.close() }, icon("close"))),
    el("div", { class: "frame-turn" }, back, this._stage, button("The next frame", "chevron", 1)));
    document.body.append(this._element);
    this._element.showModal();
    this.update();
  }

  remove() {
    this._element.close();
  }

  update() {
    const frame = this._frame();
    const names = frame.state === "finished" ? this._files(frame.frame) : [];
    text(this._title, `Frame ${frame.frame}`);
    text(this._about, frame.error ?? describe(frame, ""));
    const key = `${frame.frame} ${frame.state} ${names?.join("/")}`;
    if (this._shown === key) return;
    this._shown = key;
    this._stop.abort();
    this._stop = new AbortController();
    if (!names) {
      replace(this._links);
      replace(this._stage);
      return;
    }
    replace(this._links, names.map((name) => el("a", { class: "button small", href: jobUrl(this._id, "download", { filename: name }), download: "", title: name }, icon("download", 16), names.length > 1 ? name : "Download")));
    if (!names.length) {
      replace(this._stage, el("p", { class: "muted" }, frame.state === "finished" ? "No file of its own." : statusWord(frame.state)));
      return;
    }
    const picture = new Image();
    picture.alt = `Frame ${frame.frame}`;
    picture.onload = () => this._shown === key && replace(this._stage, picture);
    load(picture, jobUrl(this._id, "thumbnail", { size: "big", filename: names[0], missing_ok: 1 }), {
      signal: this._stop.signal,
      onrefused: () => replace(this._stage, el("p", { class: "muted" }, "There is no picture of this frame.")),
    });
  }
}

/** The frame that a name speaks of: its last number. A minus after a letter or a digit only parts the two. */
function numberIn(name) {
  const numbers = name.replace(/\.[^.]*$/, "").match(/(?<![A-Za-z0-9])-\d+|\d+/g);
  return numbers && Number(numbers.at(-1));
}

function isSame(before, frame) {
  return before && before.frame === frame.frame && before.state === frame.state && before.node === frame.node && before.seconds === frame.seconds && before.error === frame.error;
}

function describe(frame, name = `Frame ${frame.frame}`) {
  const parts = [name, statusWord(frame.state), frame.seconds !== null && duration(frame.seconds), frame.node && `on ${frame.node}`, frame.error];
  return parts.filter(Boolean).join(" · ");
}
