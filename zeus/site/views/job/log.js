// A job's log: as it grows, with the newest lines in sight, and searched.
import { get, jobUrl } from "../../api.js";
import { debounce, el, replace, text } from "../../dom.js";
import { icon } from "../../icons.js";
import { hasEnded } from "../../jobs.js";
import { Refresh } from "../../refresh.js";
import { VirtualList } from "../../virtual.js";

const MOST_LINES = 20000;
const LONGEST = 2000;
const LINE = 20;
/** Bytes that are read at once: where there are more, the last of them. */
const MOST_BYTES = 4 << 20;
/** Bytes that are read once more, to know that it is the same log which is read on. */
const OVERLAP = 64;
const BY_HAND = 1000;
/** What terminals obey, and what is no character. */
const CONTROLS = /\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g;

export class Log {
  constructor(id) {
    this._id = id;
    this._job = null;
    this._attempt = null;
    this._following = true;
    this._read = { attempt: null };
    this._refresh = new Refresh((signal) => this._load(signal));
    this._top = 0;
    this._matches = [];
    this._match = -1;
    this._build();
    this._list = new VirtualList(this._place, { scroller: this._box, make: () => this._line(), get: (key) => this._lines[key - this._first], height: () => LINE });
    this._clear();
  }

  /** Follow a job as it is now. */
  update(job) {
    this._job = job;
    this._offerAttempts();
    this._refresh.want(`${this._wanted}.${hasEnded(job)}`);
  }

  close() {
    this._refresh.close();
    this._find.cancel();
    cancelAnimationFrame(this._frame);
    this._list.close();
  }

  _build() {
    this._find = debounce(() => this._search(), 120);
    this._field = el("input", {
      class: "input log-search", type: "search", placeholder: "Search the log", "aria-label": "Search the log", spellcheck: "false",
      maxlength: 200, oninput: () => this._find(),
      onkeydown: (event) => event.key === "Enter" && this._step(event.shiftKey ? -1 : 1),
    });
    this._found = el("span", { class: "muted small numbers", role: "status" });
    const step = (label, by, kind) => el("button", { class: `button quiet small ${kind}`, type: "button", "aria-label": label, onclick: () => this._step(by) }, icon("chevron", 16));
    this._steps = el("span", { class: "log-steps", hidden: true }, step("The match before", -1, "log-back"), step("The next match", 1, "log-next"));
    this._follow = el("input", { type: "checkbox", checked: true, onchange: () => this._setFollowing(this._follow.checked) });
    this._attempts = el("select", { class: "input log-attempts", "aria-label": "Attempt", hidden: true, onchange: () => this._chooseAttempt() });
    this._tools = el("div", { class: "log-tools", hidden: true }, this._attempts, this._field, this._found, this._steps);
    this._place = el("div", { class: "log-lines" });
    this._box = el("div", { class: "log-box", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log", onscroll: () => this._scrolled(),
      onwheel: () => this._touch(), ontouchmove: () => this._touch(), onkeydown: () => this._touch(),
      onpointerdown: () => this._touch(Infinity), onpointerup: () => this._touch(), onpointercancel: () => this._touch() }, this._place);
    this._touched = -Infinity;
    this._empty = el("p", { class: "muted small" });
    this._note = el("p", { class: "muted small" });
    this._download = el("a", { class: "button small", href: jobUrl(this._id, "logs"), download: `${this._id}.log` }, icon("download", 16), "Download");
    this.element = el("section", { class: "card stack job-log", "aria-label": "Log" },
      el("div", { class: "row between" }, el("h2", {}, "Log"),
        el("div", { class: "row" },
          el("label", { class: "check small" }, this._follow, "Follow"),
          this._download)),
      this._refresh.problem,
      this._tools,
      this._note, this._empty, this._box);
  }

  _offerAttempts() {
    const number = this._job.attempt;
    this._attempts.hidden = number < 2;
    if (this._attempts.options.length === number + 1) return;
    const names = Array.from({ length: number }, (_, at) => el("option", { value: at + 1 }, `Attempt ${at + 1}`));
    replace(this._attempts, el("option", { value: "" }, "Newest attempt"), names);
    this._attempts.value = this._attempt ?? "";
  }

  _chooseAttempt() {
    this._attempt = this._attempts.value ? Number(this._attempts.value) : null;
    this._download.href = jobUrl(this._id, "logs", { attempt: this._attempt });
    this.update(this._job);
  }

  /** The attempt that is shown: the chosen one, or else the newest. */
  get _wanted() {
    return this._attempt ?? this._job.attempt;
  }

  /** Read what was added since, or at first the end of it; soon again while it grows. */
  async _load(signal) {
    const isGrowing = this._wanted > 0 && this._wanted === this._job.attempt && !hasEnded(this._job);
    const isShared = this._job.children.length > 0;
    text(this._empty, this._wanted ? "" : isShared ? "Each of its pieces has a log of its own." : "There is no log before the job has begun.");
    if (this._read.attempt !== this._wanted) this._begin();
    const { attempt, offset, end } = this._read;
    const from = offset - end.length; // a range with nothing in it would be an error
    const Range = offset ? `bytes=${from}-${from + MOST_BYTES}` : `bytes=-${MOST_BYTES}`;
    const part = await get(jobUrl(this._id, "logs", { attempt }), { headers: { Range }, signal, decode: partOf }).catch((error) => {
      if (error.status !== 416) throw error;
      return null; // it is shorter than it was
    });
    const isWhole = part !== null && this._add(part);
    if (!isWhole) this._begin();
    if (!isWhole || isGrowing) this._refresh.again();
  }

  /** Begin with the end of the log that is wanted. */
  _begin() {
    this._read = { attempt: this._wanted, offset: 0, end: new Uint8Array(), decoder: new TextDecoder() };
  }

  /** Take in a part of the log, the first one in place of what there was. Whether it is one that follows and the last. */
  _add({ from, bytes, whole }) {
    const { offset, end, decoder } = this._read;
    const at = offset ? offset - from : 0;
    const isSame = end.every((byte, place) => byte === bytes[at - end.length + place]);
    if (!isSame || from + bytes.length < whole) return false;
    this._read.offset = from + bytes.length;
    this._read.end = bytes.slice(-OVERLAP);
    const told = decoder.decode(bytes.subarray(at), { stream: true });
    if (!offset) {
      this._clear();
      this._isCut = from > 0;
    }
    this._take(offset || !from ? told : told.slice(told.indexOf("\n") + 1));
    return true;
  }

  _take(told) {
    const lines = (this._rest + told).split("\n");
    this._rest = lines.pop().slice(0, LONGEST * 2);
    for (const line of lines) this._lines.push(clean(line));
    const extra = this._lines.length - MOST_LINES;
    if (extra > 0) {
      this._lines.splice(0, extra);
      this._first += extra;
      this._isCut = true;
    }
    if (lines.length) this._frame ||= requestAnimationFrame(() => this._draw());
  }

  _clear() {
    this._lines = [];
    this._first = 0;
    this._rest = "";
    this._longest = 0;
    this._measured = 0;
    this._isCut = false;
    this._frame ||= requestAnimationFrame(() => this._draw());
  }

  _draw() {
    this._frame = 0;
    for (let at = Math.max(this._measured, this._first); at < this._first + this._lines.length; at += 1) this._longest = Math.max(this._longest, this._lines[at - this._first].length);
    this._measured = this._first + this._lines.length;
    const width = `calc(${this._longest}ch + 24px)`;
    if (this._place.style.minWidth !== width) this._place.style.minWidth = width;
    this._box.hidden = this._tools.hidden = !this._lines.length;
    if (this._lines.length) text(this._empty, "");
    text(this._note, this._isCut ? `Only the last ${this._lines.length.toLocaleString("en-GB")} lines are shown; the file has all.` : "");
    this._list.set(Array.from(this._lines, (_, at) => this._first + at));
    if (this._field.value) this._search({ moves: false });
    if (this._following) this._toEnd();
  }

  _line() {
    const element = el("div", {});
    const show = (line, at) => {
      const key = this._first + at;
      const isMatch = this._matches[this._match] === key;
      element.className = `log-line${line.startsWith("[zeus]") ? " log-own" : ""}${isMatch ? " log-match" : ""}`;
      const query = this._field.value.toLowerCase();
      if (query && line.toLowerCase().includes(query)) replace(element, marked(line, query));
      else text(element, line);
    };
    return { element, show };
  }

  // Following and searching

  _scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this._box;
    if (scrollTop < this._top - 4 && this._following) {
      if (performance.now() - this._touched > BY_HAND) return this._toEnd(); // what grew or shrank moved it, nobody did
      this._setFollowing(false);
    } else if (scrollTop + clientHeight >= scrollHeight - LINE) this._setFollowing(true, { moves: false });
    this._top = scrollTop;
  }

  /** A person has a hand on it, until then. */
  _touch(until = performance.now()) {
    this._touched = until;
  }

  _setFollowing(isWanted, { moves = true } = {}) {
    this._following = isWanted;
    this._follow.checked = isWanted;
    if (isWanted && moves) this._toEnd();
  }

  _toEnd() {
    this._box.scrollTop = this._box.scrollHeight;
    this._top = this._box.scrollTop;
    this._list.draw();
  }

  _search({ moves = true } = {}) {
    const query = this._field.value.toLowerCase();
    const before = this._matches[this._match];
    this._matches = [];
    if (query) this._lines.forEach((line, at) => line.toLowerCase().includes(query) && this._matches.push(this._first + at));
    const kept = this._matches.indexOf(before);
    this._match = kept >= 0 ? kept : this._matches.length - 1;
    this._steps.hidden = !this._matches.length;
    this._tell();
    this._list.refresh({ all: true });
    if (moves && this._match >= 0) this._show();
  }

  _step(by) {
    if (!this._matches.length) return;
    this._match = (this._match + by + this._matches.length) % this._matches.length;
    this._tell();
    this._show();
  }

  _tell() {
    const number = this._matches.length.toLocaleString("en-GB");
    text(this._found, !this._field.value ? "" : this._matches.length ? `${this._match + 1} of ${number}` : "Not found");
  }

  _show() {
    this._setFollowing(false);
    this._list.reveal(this._matches[this._match] - this._first);
    this._box.scrollLeft = 0;
    this._top = this._box.scrollTop;
    this._list.refresh({ all: true });
  }
}

/** A part of a file, where it is and how long all of it is; what has no ranges comes whole. */
function partOf(response, body) {
  const [from, whole] = (/^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("Content-Range")) ?? [0, 0, body.byteLength]).slice(1).map(Number);
  return { from, bytes: new Uint8Array(body), whole };
}

function clean(line) {
  const plain = line.replace(CONTROLS, "");
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST)}…` : plain;
}

/** A line with what is searched for marked in it. */
function marked(line, query) {
  const [lower, parts] = [line.toLowerCase(), []];
  let from = 0;
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, from)) {
    parts.push(line.slice(from, at), el("mark", {}, line.slice(at, at + query.length)));
    from = at + query.length;
  }
  return [...parts, line.slice(from)];
}
