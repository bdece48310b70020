// What the last minutes were like: rates from one reading of the metrics to the next, and how much was counted since
// some minutes ago. Holds so much and no more, however long the page is open.

/** How far back the page looks. */
export const WINDOW_MS = 5 * 60_000;
/** Whole readings are kept so far apart: they are large. */
const MARK_MS = 15_000;

export class History {
  #counters;
  #marks = [];
  #newest = null;
  /** Of each counter `{ at, rate }`, oldest first; `rate` is null where it is not known. */
  series;

  /** @param {Record<string, { metric: string, labels?: Record<string, string> }>} counters whose rates are wanted */
  constructor(counters) {
    this.#counters = counters;
    this.series = Object.fromEntries(Object.keys(counters).map((name) => [name, []]));
  }

  get newest() {
    return this.#newest;
  }

  add(reading) {
    const before = this.#newest;
    // Another process counts from zero.
    const isAnother = before !== null && startOf(before) !== startOf(reading);
    if (isAnother) this.#marks = [];
    for (const [name, { metric, labels }] of Object.entries(this.#counters)) {
      const series = this.series[name];
      series.push({ at: reading.at, rate: before && !isAnother ? rate(before, reading, metric, labels) : null });
      while (series[0].at < reading.at - WINDOW_MS) series.shift();
    }
    this.#newest = reading;
    if (reading.at - (this.#marks.at(-1)?.at ?? -Infinity) >= MARK_MS) this.#marks.push(reading);
    while (this.#marks.length > 1 && this.#marks[0].at < reading.at - WINDOW_MS) this.#marks.shift();
  }

  /** The oldest reading that the window holds of this process. */
  get oldest() {
    return this.#marks[0] ?? this.#newest;
  }

  /** By how much a counter has grown within the window. */
  grown(metric, labels) {
    return (this.#newest?.sum(metric, labels) ?? 0) - (this.oldest?.sum(metric, labels) ?? 0);
  }

  /**
   * Below what the given share of a histogram's durations lay: within the window, or, if nothing was seen meanwhile, since
   * the start. The bound of the bucket, so rather too much than too little.
   *
   * @returns {{ seen: number, isRecent: boolean, bounds: number[] } | null} a bound for each share, in seconds
   */
  quantiles(metric, labels, shares) {
    const now = this.#newest?.buckets(metric, labels) ?? [];
    const then = new Map(this.oldest?.buckets(metric, labels) ?? []);
    const recent = now.map(([bound, count]) => [bound, count - (then.get(bound) ?? 0)]);
    const isRecent = (recent.at(-1)?.[1] ?? 0) > 0;
    const buckets = isRecent ? recent : now;
    const seen = buckets.at(-1)?.[1] ?? 0;
    if (seen <= 0) return null;
    const bounds = shares.map((share) => buckets.find(([, count]) => count >= share * seen)?.[0] ?? Infinity);
    return { seen, isRecent, bounds };
  }
}

export const startOf = (reading) => reading.sum("andon_start_time_seconds");

function rate(before, now, metric, labels) {
  const seconds = (now.at - before.at) / 1_000;
  if (seconds <= 0) return null;
  const grown = (now.sum(metric, labels) ?? 0) - (before.sum(metric, labels) ?? 0);
  return grown < 0 ? null : grown / seconds;
}
