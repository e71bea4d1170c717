// Two nodes come to trust each other: this one shows a code, or takes the other's address with a code or token of it.
import { post } from "../../api.js";
import { el, replace, text } from "../../dom.js";
import { labelled } from "../../form.js";
import { tell, toast } from "../../notices.js";

/** Ask how to pair; `view` is the node that is meant, if one is. `onpaired` is called once there is a new one. */
export function openPairing(view, onpaired) {
  const address = el("input", { class: "input", type: "url", name: "url", required: true, maxlength: 300, placeholder: "http://render-2:8080", value: view?.url ?? "", spellcheck: "false", autocomplete: "off" });
  const secret = el("input", { class: "input", name: "secret", required: true, maxlength: 1000, spellcheck: "false", autocomplete: "off" });
  const where = labelled("Its address", address);
  const what = labelled("Its code, or a token of it", secret, "“Show a code” on its page, or “zeus nodes pair” on its machine, gives a code for one minute.");
  const problem = el("p", { class: "problem", role: "alert" });
  const button = el("button", { class: "button primary" }, "Pair");
  const shown = el("div", { class: "pair-code" });
  let ticking = 0;
  const dialog = el("dialog", { class: "dialog pair-dialog", "aria-labelledby": "pair-title", onclose: () => {
    clearInterval(ticking);
    dialog.remove();
  } },
  el("div", { class: "dialog-body" },
    el("h2", { id: "pair-title" }, view ? `Pair with “${view.name}”` : "Pair a node"),
    el("p", { class: "muted small" }, "Paired nodes share their work: each may give jobs and files to the other."),
    el("form", { class: "stack", onsubmit: (event) => {
      event.preventDefault();
      add();
    } }, where.element, what.element, problem, el("div", { class: "row end" }, button)),
    el("div", { class: "pair-or muted small" }, "or let the other node add this one"),
    shown,
    el("div", { class: "row end" }, el("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Close"))));

  async function add() {
    button.disabled = true;
    for (const each of [where, what]) each.fail("");
    text(problem, "");
    const given = secret.value.trim();
    try {
      const digits = given.replace(/[\s-]/g, "");
      const told = /^\d+$/.test(digits) ? { code: digits } : { token: given };
      const node = await post("/api/nodes", { url: address.value.trim(), ...told });
      dialog.close();
      toast(`“${node.name}” is paired.`);
      onpaired();
    } catch (error) {
      const field = error.field;
      if (field?.name === "url") where.fail(field.message);
      else if (field && ["code", "token"].includes(field.name)) what.fail(field.message);
      else text(problem, error.message);
    } finally {
      button.disabled = false;
    }
  }

  function offerCode() {
    clearInterval(ticking);
    replace(shown, el("button", { class: "button", type: "button", onclick: show }, "Show a code"));
  }

  async function show() {
    try {
      const { code, seconds } = await post("/api/nodes/pairing");
      const end = Date.now() + seconds * 1000;
      const left = el("span", { class: "muted small numbers" });
      replace(shown, el("output", { class: "pair-digits numbers", "aria-label": "Code" }, code), left);
      const tick = () => {
        const rest = Math.ceil((end - Date.now()) / 1000);
        if (rest <= 0) offerCode();
        else text(left, `for ${rest} s, once`);
      };
      clearInterval(ticking);
      ticking = setInterval(tick, 500);
      tick();
    } catch (error) {
      tell(error);
    }
  }

  offerCode();
  document.body.append(dialog);
  dialog.showModal();
  (view ? secret : address).focus();
}
