// The picture that a video begins with: dropped, pasted or chosen, shown at once, sent meanwhile.
import { el, replace, text } from "../../dom.js";
import { chooseButton, takeDrops } from "../../drop.js";
import { percentOf } from "../../format.js";
import { icon } from "../../icons.js";
import { Upload } from "../../uploads.js";

export class StartImage {
  constructor() {
    this._upload = null;
    this._done = null;
    this._said = el("p", { class: "help", "aria-live": "polite" });
    this._body = el("div", { class: "generate-image" });
    this.element = el("div", { class: "field", role: "group", "aria-label": "Start image" }, this._body, this._said);
    this._showEmpty();
  }

  start() {
    return takeDrops(this._body, (files) => this._take(files));
  }

  /** The upload's id once it is there, undefined where no picture was chosen: one that failed is sent again. Throws ApiError. */
  async uploaded() {
    if (this._upload?.state === "failed") this._send();
    return this._done ?? undefined;
  }

  _take(files) {
    const file = files.find((each) => each.type.startsWith("image/"));
    if (!file) return void text(this._said, `“${files[0].name}” is no picture.`);
    this._drop();
    const upload = (this._upload = new Upload(file));
    upload.addEventListener("change", () => this._tell(upload));
    this._send();
    this._showFile(file);
  }

  _send() {
    this._done = this._upload.send();
    this._done.catch(() => {}); // shown by _tell, and by whoever asks for it
  }

  _drop() {
    this._upload?.cancel();
    this._upload = this._done = null;
    text(this._said, "");
    if (this._url) URL.revokeObjectURL(this._url);
    this._url = null;
  }

  _showEmpty() {
    replace(
      this._body,
      chooseButton(
        [icon("image", 16), "Start image", el("span", { class: "muted" }, "optional, or drop one here")],
        (files) => this._take(files),
        { kinds: "image/*", look: "generate-choose" },
      ),
    );
  }

  _showFile(file) {
    this._url = URL.createObjectURL(file);
    const remove = () => {
      this._drop();
      this._showEmpty();
      this._body.querySelector("button").focus();
    };
    replace(
      this._body,
      el("img", { src: this._url, alt: "" }),
      el("span", { class: "cut small" }, file.name),
      el(
        "button",
        { class: "button quiet small", type: "button", "aria-label": "Remove the start image", onclick: remove },
        icon("close", 16),
      ),
    );
  }

  _tell(upload) {
    if (upload !== this._upload) return;
    if (upload.state === "failed") text(this._said, upload.error.message);
    else text(this._said, upload.state === "done" ? "" : `Sending, ${percentOf(upload.sent, upload.file.size)}%`);
  }
}
