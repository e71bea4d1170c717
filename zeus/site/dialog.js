// Questions to a person, in a modal dialog that gives the focus back.
import { el, uniqueId } from "./dom.js";

/** Ask before something is done; whether it shall be. `action` names the deed on its button. */
export function ask({ title, text, action, danger = false }) {
  return new Promise((resolve) => {
    const heading = uniqueId("dialog");
    const dialog = el(
      "dialog",
      { class: "dialog", "aria-labelledby": heading, onclose: () => done() },
      el(
        "form",
        { method: "dialog", class: "dialog-body" },
        el("h2", { id: heading }, title),
        text && el("p", { class: "muted" }, text),
        el(
          "div",
          { class: "row end" },
          el("button", { class: "button", value: "" }, "Keep"),
          el(
            "button",
            { class: danger ? "button danger" : "button primary", value: "yes", autofocus: !danger },
            action,
          ),
        ),
      ),
    );
    const done = () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    };
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
    document.body.append(dialog);
    dialog.showModal();
  });
}
