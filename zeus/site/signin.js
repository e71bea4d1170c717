// Asking for the node's token when it wants one, once for all requests that wait for it.
import { request } from "./api.js";
import { el, text, uniqueId } from "./dom.js";

const KEY = "zeus.session";

/** Sends `change` when one signs in. */
export const signing = new EventTarget();

/** Begin a session. Throws ApiError. */
export async function signIn(token) {
  const session = await request("POST", "/api/session", { json: { token } });
  localStorage.setItem(KEY, JSON.stringify(session));
  signing.dispatchEvent(new Event("change"));
}

export async function signOut() {
  await request("DELETE", "/api/session");
  localStorage.removeItem(KEY);
}

/** Whose token this browser signed in with, `{name, scopes}`, or null. The token itself is kept nowhere. */
export function session() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** The field for a token with its button; `onsigned` is called once there is a session. */
export function tokenForm(onsigned = () => {}) {
  const id = uniqueId("token");
  const problem = el("p", { class: "problem", role: "alert", id: `${id}-problem` });
  const field = el("input", {
    class: "input",
    type: "password",
    name: "token",
    id,
    autocomplete: "current-password",
    required: true,
    maxlength: 1000,
    "aria-describedby": `${id}-help ${id}-problem`,
    spellcheck: "false",
  });
  const button = el("button", { class: "button primary" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    text(problem, "");
    try {
      await signIn(field.value);
      onsigned();
    } catch (error) {
      text(problem, error.message);
      field.select();
    } finally {
      button.disabled = false;
    }
  };
  return el(
    "form",
    { class: "stack", onsubmit: submit },
    el("label", { class: "label", for: id }, "Token"),
    field,
    el(
      "p",
      { class: "help", id: `${id}-help` },
      "The owner’s is in the file “token” of the node’s storage folder; “zeus token add NAME” makes others.",
    ),
    problem,
    el("div", { class: "row end" }, button),
  );
}

let asking = null;

/** Ask for the token in a dialog that stays until there is a session; what is behind it is kept. */
export function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = el(
      "dialog",
      {
        class: "dialog sign-in",
        "aria-labelledby": "sign-in-title",
        oncancel: (event) => event.preventDefault(),
        onclose: () => dialog.isConnected && dialog.showModal(), // a browser lets nobody prevent it twice
      },
      el(
        "div",
        { class: "dialog-body" },
        el("h2", { id: "sign-in-title" }, "Sign in to this node"),
        el("p", { class: "muted" }, "It can be reached from other machines, so it asks who you are."),
        tokenForm(() => {
          dialog.close();
          dialog.remove();
          asking = null;
          resolve();
        }),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}
