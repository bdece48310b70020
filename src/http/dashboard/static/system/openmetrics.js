// Reads the text of `/metrics`: OpenMetrics 1.0, as far as a page needs it. A line that cannot be read is passed over:
// a newer server may say more than this page knows.

/** More lines than any server of ours has; beyond, somebody else answers. */
const MOST_LINES = 50_000;

/** What one look at the metrics has found. */
export class Reading {
  /** @param {Map<string, { labels: Record<string, string>, value: number }[]>} points @param {number} at milliseconds */
  constructor(points, at) {
    this.points = points;
    this.at = at;
  }

  /** All points of a name. */
  all(name) {
    return this.points.get(name) ?? [];
  }

  /** The sum of those points that have these labels, or null where there is none. */
  sum(name, labels = {}) {
    const found = this.all(name).filter((point) => hasAll(point.labels, labels));
    return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
  }

  /** What a label can say, in alphabetical order. */
  words(name, label) {
    return [...new Set(this.all(name).map(({ labels }) => labels[label]).filter(Boolean))].sort();
  }

  /** How often a histogram saw at most how much: `[bound, count]`, ascending, the last bound being Infinity. */
  buckets(name, labels = {}) {
    const counts = new Map();
    for (const point of this.all(`${name}_bucket`)) {
      if (!hasAll(point.labels, labels)) continue;
      const bound = numberOf(point.labels.le ?? "");
      counts.set(bound, (counts.get(bound) ?? 0) + point.value);
    }
    return [...counts].sort(([a], [b]) => a - b);
  }
}

const hasAll = (labels, wanted) => Object.entries(wanted).every(([name, word]) => labels[name] === word);

/** @param {string} text @param {number} at when it was read, in milliseconds */
export function parse(text, at) {
  const points = new Map();
  for (const line of text.split("\n", MOST_LINES)) {
    const point = line === "" || line.startsWith("#") ? null : pointOf(line);
    if (!point) continue;
    if (!points.has(point.name)) points.set(point.name, []);
    points.get(point.name).push(point);
  }
  return new Reading(points, at);
}

function pointOf(line) {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (!name) return null;
  let rest = line.slice(name.length);
  const labels = {};
  if (rest.startsWith("{")) {
    rest = labelsOf(rest.slice(1), labels);
    if (rest === null) return null;
  }
  // A timestamp and an exemplar may follow.
  const value = numberOf(rest.trim().split(" ", 1)[0]);
  return Number.isNaN(value) ? null : { name, labels, value };
}

/** Reads labels up to the closing brace; gives what is behind it, or null. */
function labelsOf(text, labels) {
  let rest = text;
  while (!rest.startsWith("}")) {
    const label = /^,?([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/.exec(rest);
    if (!label) return null;
    labels[label[1]] = label[2].replace(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : escaped));
    rest = rest.slice(label[0].length);
  }
  return rest.slice(1);
}

function numberOf(text) {
  if (text === "+Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  return text === "" ? NaN : Number(text);
}
