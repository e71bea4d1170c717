// The table of the views: where each is, what it is called, and what brings it.

/** `path` may have one `:name`; `nav` is the view's word and icon in the navigation, if it stands there. */
export const VIEWS = [
  { path: "/generate", nav: ["Generate", "generate"], load: () => import("./views/generate.js"), style: "generate" },
  { path: "/new", nav: ["New job", "new"], load: () => import("./views/new.js"), style: "new" },
  { path: "/jobs", nav: ["Jobs", "jobs"], load: () => import("./views/list.js"), style: "list" },
  { path: "/jobs/:id", load: () => import("./views/job.js"), style: "job" },
  { path: "/nodes", nav: ["Nodes", "nodes"], load: () => import("./views/nodes.js"), style: "nodes" },
  { path: "/settings", nav: ["Settings", "settings"], load: () => import("./views/settings.js"), style: "settings" },
];
