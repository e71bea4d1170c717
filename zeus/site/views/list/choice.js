// Which jobs the list shows and in which order: what is searched for, the filters, and the sorting.
import { STATUSES } from "../../jobparts.js";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const last = (number) => number ?? Infinity;

/** The orders: word, what a job is sorted by, whether the greatest goes first (`isDown`). The first one is the
 * store's own, the second the same the other way round. */
export const SORTS = {
  newest: { word: "Newest first", column: "added", isDown: true },
  oldest: { word: "Oldest first", column: "added", isReversed: true },
  name: { word: "Name", column: "main", key: (job) => job.name },
  status: { word: "Status", column: "status", key: (job) => STATUSES.indexOf(job.status) },
  progress: { word: "Progress", column: "progress", isDown: true, key: (job) => -job.percent_complete },
  left: { word: "Time left", column: "progress", key: (job) => last(job.eta_seconds) },
  node: { word: "Node", column: "node", key: (job) => job.node ?? "\uffff" },
  priority: { word: "Priority", column: "priority", isDown: true, key: (job) => -job.priority },
};
const NAMES = ["q", "status", "engine", "node", "parent", "sort"];

export class Choice {
  /** `given`: texts by name, such as the address has them. */
  constructor(given = {}) {
    for (const name of NAMES) this[name] = given[name] ?? "";
    if (!SORTS[this.sort]) this.sort = "newest";
    if (!STATUSES.includes(this.status)) this.status = "";
  }

  /** What the address keeps of it. */
  get parameters() {
    return Object.fromEntries(NAMES.map((name) => [name, this[name]]).filter(([name, value]) => value && value !== (name === "sort" ? "newest" : "")));
  }

  /** Whether anything is left out. */
  get isNarrow() {
    return Boolean(this.q || this.status || this.engine || this.node || this.parent);
  }

  matches(job) {
    return (!this.status || job.status === this.status) && this.matchesBut(job);
  }

  /** Whether a job is meant, whatever its status is. Pieces are shown within their job, unless they are asked for. */
  matchesBut(job) {
    const q = this.q.trim().toLowerCase();
    if (this.parent ? job.parent !== this.parent : job.parent && !(q.length >= 6 && job.id.startsWith(q))) return false;
    if (this.engine && job.renderer !== this.engine) return false;
    if (this.node && job.node !== this.node && !job.children.some((child) => child.node === this.node)) return false;
    return !q || job.name.toLowerCase().includes(q) || job.id.startsWith(q);
  }

  /** What says where a job stands: undefined for one that is not shown. */
  key(job) {
    if (!this.matches(job)) return undefined;
    return SORTS[this.sort].key?.(job) ?? null;
  }

  /** The ids of the jobs that are shown, in order, each with its key. */
  apply(jobs) {
    const { key, isReversed } = SORTS[this.sort];
    const found = jobs.filter((job) => this.matches(job)).map((job) => [job.id, key?.(job) ?? null]);
    if (key) found.sort(typeof found[0]?.[1] === "string" ? (a, b) => collator.compare(a[1], b[1]) : (a, b) => a[1] - b[1]);
    return new Map(isReversed ? found.reverse() : found);
  }
}

/** What there is to choose from: how many jobs of each status, and the engines and nodes that occur. */
export function facets(jobs, choice) {
  const statuses = new Map();
  const [engines, nodes] = [new Set(), new Set()];
  let all = 0;
  for (const job of jobs) {
    engines.add(job.renderer);
    if (job.node) nodes.add(job.node);
    if (!choice.matchesBut(job)) continue;
    all += 1;
    statuses.set(job.status, (statuses.get(job.status) ?? 0) + 1);
  }
  return { all, statuses, engines: [...engines].sort(collator.compare), nodes: [...nodes].sort(collator.compare) };
}
