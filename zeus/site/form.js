// A form from a JSON Schema, such as an engine's arguments: its fields, what they hold, and what is wrong with them.
import { el, replace, uniqueId } from "./dom.js";
import { makeField } from "./fields.js";

const SHOWN = 6;

export class SchemaForm {
  /**
   * `shown`: the names of the fields that are not folded away, by default the schema's first ones and all that it
   * requires. `hidden`: those that are set elsewhere. `choices`: `{name: [values]}` for a field that could be any text.
   * `onchange` is called after each change by hand.
   */
  constructor(schema, { shown = null, hidden = [], choices = {}, onchange = () => {} } = {}) {
    this._root = schema;
    this._onchange = onchange;
    const properties = this.resolve(schema).properties ?? {};
    const required = new Set(this.resolve(schema).required ?? []);
    const names = Object.keys(properties).filter((name) => !hidden.includes(name));
    const open = new Set(shown ?? [...required, ...names.slice(0, SHOWN)]);
    this._fields = new Map(
      names.map((name) => [name, this._make(name, properties[name], required.has(name), choices[name])]),
    );
    const [first, rest] = [names.filter((name) => open.has(name)), names.filter((name) => !open.has(name))];
    this._more = el("details", { class: "more" }, el("summary", {}, "Advanced"), this._grid(rest));
    this.element = el("div", { class: "stack" }, first.length > 0 && this._grid(first), rest.length > 0 && this._more);
  }

  /** A schema behind its `$ref`. */
  resolve(schema) {
    let found = schema;
    while (found.$ref)
      found = found.$ref
        .split("/")
        .slice(1)
        .reduce((at, key) => at[key], this._root);
    return found;
  }

  /** What is filled in; a field that is left alone is left out. */
  values() {
    const given = [...this._fields].map(([name, field]) => [name, field.get()]);
    return Object.fromEntries(given.filter(([, value]) => value !== undefined));
  }

  /** Fill in values: those of `given` alone, the rest is emptied. */
  fill(given) {
    for (const [name, field] of this._fields) field.set(given[name] ?? undefined);
    this.openFilled();
  }

  /** Unfold what is folded away if something is filled in there. */
  openFilled() {
    if ([...this._fields.values()].some((field) => this._more.contains(field.element) && field.get() !== undefined)) {
      this._more.open = true;
    }
  }

  /** Show in the empty fields what they come to: the arguments with all defaults filled in. */
  hint(args) {
    for (const [name, field] of this._fields) field.hint(args[name]);
  }

  /** Say what is wrong with the field of a name such as `resolution`; whether there is one. */
  fail(name, message) {
    const field = this._fields.get(name.split(".")[0]);
    field?.fail(message);
    if (field && this._more.contains(field.element)) this._more.open = true;
    return Boolean(field);
  }

  /** Say what is wrong with the field that a message is about without beginning with its name; whether there is one. */
  failMentioned(message) {
    const isMeant = (name) =>
      message.startsWith(`${name} `) || (name.includes("_") && new RegExp(`\\b${name}\\b`).test(message));
    const name = [...this._fields.keys()].find(isMeant);
    return name !== undefined && this.fail(name, message);
  }

  /** Nothing is wrong any more. */
  clear() {
    for (const field of this._fields.values()) field.fail("");
  }

  /** The first field whose content the browser itself refuses, with the focus moved there; else null. */
  firstInvalid() {
    for (const [, field] of this._fields) {
      const control = field.element.querySelector(":invalid");
      if (!control) continue;
      if (this._more.contains(control)) this._more.open = true;
      control.focus();
      field.fail(control.validationMessage);
      return control;
    }
    return null;
  }

  /** Offer other choices for a field of texts: the cameras of a scene, say. What was chosen stays if it can. */
  offer(name, values) {
    const old = this._fields.get(name);
    if (!old) return;
    const { properties, required = [] } = this.resolve(this._root);
    const made = this._make(name, properties[name], required.includes(name), values);
    made.set(values.length && !values.includes(old.get()) ? undefined : old.get());
    old.element.replaceWith(made.element);
    this._fields.set(name, made);
  }

  field(name) {
    return this._fields.get(name);
  }

  _make(name, schema, isRequired, choices) {
    return makeField(name, schema, {
      isRequired,
      choices,
      resolve: (each) => this.resolve(each),
      onchange: this._onchange,
    });
  }

  _grid(names) {
    return el(
      "div",
      { class: "fields" },
      names.map((name) => this._fields.get(name).element),
    );
  }
}

/** A field with its label, its help and what is wrong, around a control that has no name of its own. */
export function labelled(label, control, help = "") {
  const id = control.id || uniqueId("field");
  control.id = id;
  const problem = el("p", { class: "problem", id: `${id}-problem`, role: "alert" });
  control.setAttribute("aria-describedby", `${id}-help ${id}-problem`);
  const element = el(
    "div",
    { class: "field" },
    el("label", { class: "label", for: id }, label),
    control,
    el("p", { class: "help", id: `${id}-help` }, help),
    problem,
  );
  const fail = (message) => {
    replace(problem, message);
    control.setAttribute("aria-invalid", message ? "true" : "false");
  };
  return { element, fail };
}
