// The jobs that are selected, and the bar that ends them together.
import { announce, el, replace, text } from "../../dom.js";
import { count } from "../../format.js";
import { endAll } from "../../jobparts.js";
import { toast } from "../../notices.js";

const WORDS = { cancel: "cancelled", delete: "deleted" };

export class Bulk {
  /** `onchange()` is called when other jobs are selected, `ondone()` when the bar goes away under somebody's hands. */
  constructor({ onchange, ondone }) {
    Object.assign(this, { _onchange: onchange, _ondone: ondone, _ids: new Set(), _last: null, _ending: null, _isClosed: false });
    this.element = el("div", { class: "job-bulk", role: "region", "aria-label": "Selected jobs", hidden: true });
  }

  get size() {
    return this._ids.size;
  }

  has(id) {
    return this._ids.has(id);
  }

  /** Select a job or not; with `through`, the ids in order, all between it and the last one that was. */
  toggle(id, through = null) {
    const isWanted = !this._ids.has(id);
    const [from, to] = through ? [through.indexOf(this._last), through.indexOf(id)].sort((a, b) => a - b) : [-1, -1];
    for (const each of from >= 0 ? through.slice(from, to + 1) : [id]) this._set(each, isWanted);
    this._last = id;
    this._show();
  }

  add(ids) {
    for (const id of ids) this._set(id, true);
    this._show();
  }

  /** Select all of these, or none if they are selected already. */
  toggleAll(ids) {
    this._ids = this._ids.size === ids.length ? new Set() : new Set(ids);
    this._show();
  }

  clear() {
    this._ids.clear();
    this._show();
  }

  /** Forget those that `isShown` says are not there any more. */
  keep(isShown) {
    const before = this._ids.size;
    for (const id of this._ids) if (!isShown(id)) this._ids.delete(id);
    if (this._ids.size !== before) this._show();
  }

  /** Ask, then cancel or delete what is selected, or else `ids`. */
  async end(deed, ids = [...this._ids]) {
    if (!ids.length || this._ending) return;
    const stop = (this._ending = new AbortController());
    const ended = await endAll(ids, deed, { onprogress: this._progress(deed, stop), signal: stop.signal });
    this._ending = null;
    if (ended === null) return;
    this._report(ended, ids.length, WORDS[deed]);
    if (this._isClosed) return;
    this._ids = new Set(ids.filter((id) => !ended.done.has(id)));
    this._show();
    this._ondone();
  }

  /** Tell how many were ended, and why how many were not. */
  _report({ done, errors }, all, word) {
    if (done.size) toast(`${count(done.size, "job")} ${word}`);
    const left = all - done.size;
    if (errors.length) toast(`${all > 1 ? `${left.toLocaleString("en-GB")} of ${count(all, "job")} could not be ${word}. ` : ""}${errors[0].message}`, { kind: "bad" });
  }

  close() {
    this._isClosed = true;
    this._ending?.abort();
  }

  _set(id, isWanted) {
    if (isWanted) this._ids.add(id);
    else this._ids.delete(id);
  }

  _progress(deed, stop) {
    const state = el("strong", { class: "numbers" });
    const button = el("button", { class: "button quiet small", type: "button", onclick: () => stop.abort() }, "Stop");
    return (done, all) => {
      if (all < 2) return;
      text(state, `${deed === "delete" ? "Deleting" : "Cancelling"} ${done.toLocaleString("en-GB")} of ${all.toLocaleString("en-GB")}`);
      if (!state.isConnected) replace(this.element, state, button);
      this.element.hidden = false;
    };
  }

  _show() {
    const number = this._ids.size;
    this._onchange();
    if (this._ending) return;
    this.element.hidden = !number;
    const deed = (name, word, kind) => el("button", { class: `button small ${kind}`, type: "button", onclick: () => this.end(name) }, word);
    replace(this.element, el("strong", { class: "numbers" }, `${number.toLocaleString("en-GB")} selected`),
      deed("cancel", "Cancel", ""), deed("delete", "Delete", "danger"),
      el("button", { class: "button quiet small", type: "button", onclick: () => {
        this.clear();
        this._ondone();
      } }, "Deselect"));
    announce(number ? `${count(number, "job")} selected` : "None selected");
  }
}
