// The files that one engine takes: a form for all of them, what the nodes say of it, and the button that adds the jobs.
import { ApiError, connection, create, get, post } from "../../api.js";
import { debounce, el, replace, text, uniqueId } from "../../dom.js";
import { labelled, SchemaForm } from "../../form.js";
import { count, engineName } from "../../format.js";
import { Options } from "./options.js";
import { Verdict } from "./verdict.js";

const QUIET = 400;

export class Group {
  /** `schema` is of the engine's arguments; `onadded` is called with the jobs. */
  constructor(engine, schema, presets, onadded) {
    this._engine = engine;
    this._onadded = onadded;
    this._entries = [];
    this._turn = 0;
    this._isSubmitting = false;
    /** What a file's job would be if no frames are named, as the node said. */
    this._usual = new WeakMap();
    this._offered = this._cameras = null;
    this._check = debounce(() => this._dryRun(), QUIET);
    this._title = el("h2", { id: uniqueId("group") });
    this._files = el("ul", { class: "new-entries" });
    this._scene = el("p", { class: "help new-scene" });
    this._options = new Options(engine, () => this._check());
    this._form = new SchemaForm(schema, { onchange: () => this._changed() });
    this._verdict = new Verdict();
    this._problem = el("p", { class: "problem", role: "alert" });
    this._button = el("button", { class: "button primary" });
    this._trouble = el("p", { class: "problem" });
    const own = Object.entries(presets).filter(([, preset]) => preset.renderer === engine && preset.available);
    this.element = el(
      "form",
      {
        class: "card new-group",
        "aria-labelledby": this._title.id,
        novalidate: true,
        onsubmit: (event) => this._submit(event),
        onkeydown: (event) => this._onkey(event),
      },
      el(
        "div",
        { class: "stack" },
        this._title,
        this._files,
        this._trouble,
        el("div", { class: "fields" }, own.length > 0 && this._presets(own), this._options.frames),
        this._scene,
        this._form.element,
        this._options.element,
      ),
      el(
        "div",
        { class: "new-side" },
        el("div", { class: "stack" }, this._verdict.element, this._problem, this._button),
      ),
    );
    this._learn();
  }

  /** Which versions there are, and whether this machine can run the engine at all: that may take a second to find. */
  async _learn() {
    try {
      const { versions, available, reason } = await get(`/api/engines/${encodeURIComponent(this._engine)}`);
      this._options.offerVersions(versions.map((each) => each.version));
      text(this._trouble, available ? "" : reason);
    } catch (error) {
      text(this._trouble, error.message);
    }
  }

  /** Take these files, and look again at what becomes of them. */
  update(entries) {
    const isSame = entries.length === this._entries.length && entries.every((entry, at) => entry === this._entries[at]);
    this._entries = entries;
    if (!isSame)
      replace(
        this._files,
        entries.map((entry) => entry.element),
      );
    text(this._title, `${engineName(this._engine)} · ${count(entries.length, "file")}`);
    this._options.showName(entries.length === 1 ? entries[0].file.name : null);
    this._showButton();
    this._showFacts();
    this._check();
  }

  /** Look again, as the node may say something else by now. */
  renew() {
    this._check();
  }

  close() {
    this._check.cancel();
    this._turn += 1;
    this.element.remove();
  }

  get _ready() {
    return this._entries.filter((entry) => entry.isReady);
  }

  /** The scenes of a single project: choices for scene and camera, and what the chosen scene has. */
  get _project() {
    return this._entries.length === 1 && this._entries[0].facts?.scenes.length ? this._entries[0].facts : null;
  }

  get _sceneShown() {
    const wanted = this._form.values().scene ?? this._project?.scene;
    return this._project?.scenes.find((each) => each.name === wanted) ?? null;
  }

  _presets(presets) {
    this._preset = el(
      "select",
      {
        class: "input",
        onchange: () => {
          const chosen = presets[Number(this._preset.value)]?.[1];
          this._form.fill(chosen?.args ?? {});
          text(this._presetHelp, chosen?.description ?? "");
          this._check();
        },
      },
      el("option", { value: "" }, "None"),
      presets.map(([name], at) => el("option", { value: at }, name)),
    );
    const { element } = labelled("Preset", this._preset);
    this._presetHelp = element.querySelector(".help");
    return element;
  }

  _changed() {
    if (this._preset) this._preset.value = "";
    text(this._presetHelp ?? this._problem, "");
    this._showFacts();
    this._check();
  }

  _showFacts() {
    const project = this._project;
    if (project !== this._offered) {
      this._form.offer("scene", project?.scenes.map((scene) => scene.name) ?? []);
      this._form.hint({});
      this._offered = project;
    }
    const scene = this._sceneShown;
    if (scene !== this._cameras) {
      this._form.offer("camera", scene?.cameras ?? []);
      this._cameras = scene;
    }
    if (!scene) return void text(this._scene, "");
    const percent = scene.resolution_percentage === 100 ? "" : ` at ${scene.resolution_percentage}%`;
    const size = `${scene.width}×${scene.height}${percent}`;
    const facts = [
      `frames ${scene.start_frame} to ${scene.end_frame}${scene.frame_step > 1 ? `, every ${scene.frame_step}` : ""}`,
      size,
      `${scene.fps} fps`,
      scene.engine,
      scene.camera ? `camera ${scene.camera}` : "no camera",
    ];
    text(this._scene, `Scene ${scene.name}: ${facts.join(" · ")}`);
  }

  /** What the scene has where nothing else is said. */
  _hints(args) {
    const scene = this._sceneShown;
    const own = scene && { ...scene, scene: this._project.scene, resolution: [scene.width, scene.height] };
    return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, value ?? own?.[name] ?? null]));
  }

  _bodies(entries) {
    const [args, fields] = [this._form.values(), this._options.values()];
    return entries.map((entry) => ({
      ...fields,
      ...this._frames(entry, fields),
      renderer: this._engine,
      args,
      upload: entry.upload.id,
      project_file: entry.projectFile,
    }));
  }

  /** Both ends of a job's frames where one is named: the other is the file's own. */
  _frames(entry, { start_frame: start, end_frame: end }) {
    if (start === undefined && end === undefined) return {};
    const usual = this._range(entry);
    return { start_frame: start ?? usual?.start, end_frame: end ?? usual?.end };
  }

  /** The frames that a file's job makes if none are named: those of the scene that is meant. Null where there are none. */
  _range(entry) {
    const { facts } = entry;
    const wanted = this._form.values().scene ?? facts.scene;
    const found = facts.scenes.find((each) => each.name === wanted) ?? this._usual.get(entry) ?? facts;
    return found.start_frame === null ? null : { start: found.start_frame, end: found.end_frame };
  }

  /** Let the node say, without adding anything, whether and where these jobs could run. */
  async _dryRun() {
    const [entries, mine] = [this._ready, (this._turn += 1)];
    if (!entries.length) {
      this._verdict.wait(this._entries.some((entry) => entry.upload.state === "sending"));
      return;
    }
    const bodies = this._bodies(entries);
    this._showFrames(entries);
    try {
      const found = await post("/api/add_job?dry_run=1", bodies);
      if (mine === this._turn) this._show(found, bodies, entries);
    } catch (error) {
      if (mine !== this._turn) return;
      this._fail(error, entries);
      const again = () => mine === this._turn && this.element.isConnected && this._check();
      if (error.retryAfter) setTimeout(again, error.retryAfter * 1000);
    }
  }

  /** What the node said that these jobs would be. */
  _show(found, bodies, entries) {
    this._clear();
    found.forEach((each, at) => bodies[at].start_frame === undefined && this._usual.set(entries[at], each));
    this._form.hint(this._hints(found[0].args));
    this._showFrames(entries);
    this._options.showSplit(found.map((each) => each.can_split));
    this._verdict.show(found);
  }

  _showFrames(entries) {
    this._options.showFrames(entries.map((entry) => this._range(entry)).filter(Boolean));
  }

  _onkey(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!this._button.disabled) this.element.requestSubmit();
  }

  async _submit(event) {
    event.preventDefault();
    if (this._isSubmitting || this._form.firstInvalid() || this._options.firstInvalid()) return;
    const entries = this._ready;
    this._check.cancel();
    this._turn += 1;
    this._isSubmitting = true;
    this._showButton();
    try {
      const made = await create("/api/add_job", this._bodies(entries));
      for (const entry of entries) entry.finish();
      this._onadded(made);
    } catch (error) {
      this._turn += 1; // what was asked meanwhile is about the same
      this._fail(error, entries);
    } finally {
      this._isSubmitting = false;
      this._showButton();
    }
  }

  /** Say what is wrong at the field, at the file, or else beside the button. */
  _fail(error, entries) {
    this._clear();
    if (!(error instanceof ApiError) || error.status >= 500) {
      this._verdict.unknown();
      text(this._problem, error.message);
      return;
    }
    this._verdict.refuse();
    const [, at, told] = /^Job (\d+) of the list: (.*)$/s.exec(error.message) ?? [null, 0, error.message];
    const whose = entries.length > 1 && told !== error.message ? `${entries[Number(at)]?.file.name}: ` : "";
    const { name, message } = error.field ?? {};
    if (name && (this._form.fail(name, message) || this._options.fail(name, whose + message))) return;
    if (!this._form.failMentioned(error.message)) text(this._problem, whose + told);
  }

  _clear() {
    text(this._problem, "");
    this._form.clear();
    this._options.clear();
  }

  _showButton() {
    const [all, ready] = [this._entries.length, this._ready.length];
    const sending = this._entries.filter((entry) => ["waiting", "sending"].includes(entry.upload.state)).length;
    this._button.disabled = ready === 0 || sending > 0 || this._isSubmitting;
    replace(this._button, sending ? `Sending ${count(sending, "file")}…` : `Start ${count(ready || all, "job")}`);
  }
}
