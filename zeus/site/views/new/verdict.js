// What the nodes say of a job that is not added yet: which could run it, and why others cannot.
import { el, replace } from "../../dom.js";
import { icon } from "../../icons.js";

export class Verdict {
  constructor() {
    this._list = el("ul", { class: "new-nodes" });
    this.element = el(
      "section",
      { class: "stack new-verdict", "aria-live": "polite" },
      el("h3", {}, "Where it can run"),
      this._list,
    );
    this.wait(false);
  }

  wait(isSending) {
    this._say(isSending ? "Checked as soon as the file is here." : "Nothing to check yet.");
  }

  /** There is something to put right first, and it is told elsewhere. */
  refuse() {
    this._say("Nowhere as it is: see what is marked.");
  }

  /** The node cannot say it now. */
  unknown() {
    this._say("Not known at the moment.");
  }

  /** The dry runs of all jobs: a node has the reasons against any of them. */
  show(found) {
    const nodes = new Map();
    for (const { nodes: each } of found) {
      for (const { node, reasons } of each) nodes.set(node, new Set([...(nodes.get(node) ?? []), ...reasons]));
    }
    replace(
      this._list,
      [...nodes].map(([node, reasons]) =>
        el(
          "li",
          { class: `new-node ${reasons.size ? "is-no" : "is-yes"}` },
          icon(reasons.size ? "close" : "check", 16),
          el(
            "div",
            {},
            el("span", { class: "any" }, node),
            [...reasons].map((reason) => el("p", { class: "help any" }, reason)),
            !reasons.size && el("span", { class: "unseen" }, " can run it"),
          ),
        ),
      ),
    );
  }

  _say(words) {
    replace(this._list, el("li", { class: "muted small" }, words));
  }
}
