// The points of a chart: a bounded, contiguous stretch of all samples in the order of their arrival.
//
// A point's number is its place in that order, 1 for the oldest sample that is kept. Pages come from the samples (which
// know batch, operator and how many measurements are out of specification), together with what the chart's data says of
// the same samples (the dispersion chart's limits, what is answered). Knows nothing of how points are drawn.

import { get } from "../shared/api.js";

/** The most points that are kept: a wide view and some room on both sides. */
export const MAX_POINTS = 6_000;

const PAGE = 1_000; // the most that the server tells at once
const FIRST_PAGE = 500;
const OVERLAP = 20; // samples that come meanwhile push those of a page out of it
const TRIM_AT = MAX_POINTS + 500; // in one go, rather than with each point
const MOST_PAGES = 10; // of all points that are kept
const MAX_QUEUED = 2_000;

export class ChartPoints {
  /** Contiguous, oldest first. */
  points = [];
  /** The number of the newest sample there is; it need not be among `points`. */
  newest = 0;
  /** What somebody looks at: it is kept when there are too many points. Null: the newest. */
  lookedAt = null;

  #id;
  #changed;
  #byId = new Map();
  #byViolation = new Map();
  #dispersionLimits = new Map(); // by limits and n: a live sample does not bring them
  #drift = 0; // between the server's total and our numbers, where old samples have been removed meanwhile
  #loading = 0;
  #meanwhile = []; // events that came during a load, which may have read older state
  #wanted = null;
  #ensuring = null;
  #generation = 0; // rises when all is forgotten: what was asked before is not wanted any more
  #oldest = 1; // rises when the server has removed what was numbered before

  /** @param {number} id the characteristic @param {() => void} changed told after every change */
  constructor(id, changed) {
    this.#id = id;
    this.#changed = changed;
  }

  get first() {
    return this.points[0]?.number ?? this.newest + 1;
  }

  get last() {
    return this.points.at(-1)?.number ?? this.newest;
  }

  /** Whether the newest sample is among the points. */
  get isAtNewest() {
    return this.last === this.newest;
  }

  /** The point with this number, or undefined. */
  at = (number) => this.points[number - this.first];

  /** The point of this sample, or undefined. */
  ofSample = (sampleId) => this.#byId.get(sampleId);

  /** The points between two numbers, both included. */
  between(first, last) {
    const from = Math.max(0, Math.ceil(first) - this.first);
    return this.points.slice(from, Math.max(from, Math.floor(last) - this.first + 1));
  }

  /** Loads the newest points; anew after something may have been missed. */
  async refresh() {
    const query = { limit: this.points.length ? PAGE : FIRST_PAGE };
    await this.#guarded(async (isStill) => {
      const [samples, chart] = await Promise.all([this.#samples({ ...query, offset: 0 }), this.#chart(query)]);
      if (!isStill()) return;
      if (this.points.length === 0 || this.isAtNewest) return this.#take(samples, chart, 0);
      this.newest = samples.total + this.#drift; // looked at is the past
      this.#keep(this.points.filter((point) => point.number <= this.newest)); // after a restore there may be fewer
    });
  }

  /** Loads the newest points and all others that are kept: what is said of old ones has changed, or may have. */
  async renew() {
    const { first } = this;
    let last = this.isAtNewest ? this.newest - PAGE + OVERLAP : this.last;
    await this.refresh();
    for (let pages = 0; pages < MOST_PAGES && last >= first; pages += 1) {
      await this.#load(Math.max(first, last - PAGE + 1), last);
      last -= PAGE - OVERLAP;
    }
  }

  /** Loads of the points between two numbers what a live sample does not bring: batch and operator. */
  async completeDetails(first, last) {
    let before = null;
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const lacking = this.between(first, last).filter((point) => !point.has_details);
      const from = lacking[0]?.number ?? before;
      if (from === before) return; // all are there, or the server has no more
      before = from;
      await this.#load(from - OVERLAP, Math.min(from + PAGE - 2 * OVERLAP, lacking.at(-1).number + OVERLAP));
    }
  }

  /** Forgets everything: other samples are told of from now on, which may have the same ids. */
  clear() {
    this.#generation += 1;
    this.#keep([]);
    this.#dispersionLimits.clear();
    this.#meanwhile = [];
    [this.newest, this.#drift, this.#oldest] = [0, 0, 1];
    this.#changed();
  }

  /** Brings newest points in, wherever the points were. */
  async toNewest() {
    if (this.isAtNewest) return;
    await this.#load(this.newest - FIRST_PAGE + 1, this.newest + 50, true);
  }

  /** Sees to it that these numbers are loaded, as far as there are such. One caller's wish replaces the one before. */
  ensure(first, last) {
    this.#wanted = { first, last };
    this.#ensuring ??= this.#fetchWanted().finally(() => {
      this.#ensuring = null;
    });
    return this.#ensuring;
  }

  async #fetchWanted() {
    try {
      for (let tries = 0; tries < 20; tries += 1) {
        const next = this.#missing();
        if (!next) break;
        const before = `${this.first} ${this.last}`;
        await this.#load(...next);
        if (before !== `${this.first} ${this.last}`) continue;
        if (this.#wanted.first < this.first) this.#oldest = this.first; // there is no more
        break;
      }
    } finally {
      this.#wanted = null;
    }
  }

  /** Loads what judging a sample anew may have changed: the sample, and those whose patterns reach back to it. */
  async reloadAround(sampleId) {
    const point = this.#byId.get(sampleId);
    if (point) await this.#load(point.number - 1, point.number + 70);
  }

  /** The number of a sample that need not be loaded. */
  async numberOf(sampleId) {
    const known = this.#byId.get(sampleId);
    if (known) return known.number;
    const { timestamp } = await get(`samples/${sampleId}`);
    const { total: later } = await this.#samples({ from: timestamp, limit: 1 });
    // Right where samples came in the order of their times; or else found by halves, ids rising with arrival.
    let [newer, older, offset] = [0, Infinity, later - 1];
    for (let tries = 0; tries < 64; tries += 1) {
      const { items, total } = await this.#samples({ offset: Math.max(0, offset), limit: 1 });
      older = Math.min(older, total - 1);
      const id = items[0]?.sample_id ?? 0;
      if (id === sampleId) return total - offset + this.#drift;
      if (id > sampleId) newer = offset + 1;
      else older = offset - 1;
      if (newer > older) break;
      offset = Math.floor((newer + older) / 2);
    }
    throw new Error(`sample ${sampleId} is not among the samples of this chart`);
  }

  /** What the server tells live. The same event twice changes nothing. */
  hear(message) {
    if (this.#loading > 0 && this.#meanwhile.length < MAX_QUEUED) this.#meanwhile.push(message);
    if (this.#apply(message)) this.#changed();
  }

  #apply({ type, payload }) {
    switch (type) {
      case "sample": return this.#append(payload);
      case "violation": return this.#signal(payload);
      case "ack_update": return this.#acknowledge(payload);
      case "violation_update": return payload.status === "withdrawn" && this.#withdraw(payload.violation_id);
      case "sample_update": return this.#mark(payload);
      default: return false;
    }
  }

  #append(payload) {
    if (this.#byId.has(payload.sample_id) || payload.sample_id <= (this.points.at(-1)?.sample_id ?? 0)) return false;
    const wasAtNewest = this.isAtNewest;
    this.newest += 1;
    if (!wasAtNewest) return true;
    const limits = this.#dispersionLimits.get(`${payload.limits_id}/${payload.n}`);
    const point = pointOf(payload, null, limits, this.newest);
    this.points.push(point);
    this.#index(point);
    if (this.points.length > TRIM_AT) this.#trim();
    return true;
  }

  #signal(violation) {
    const point = this.#byId.get(violation.sample_id);
    if (!point || violation.status === "withdrawn") return false;
    if (point.rules.some((rule) => rule.violation_id === violation.violation_id)) return false;
    const { violation_id, chart, rule_id, rule_name, severity, acknowledged } = violation;
    point.rules = [...point.rules, { violation_id, chart, rule_id, rule_name, severity, acknowledged }];
    this.#byViolation.set(violation_id, point);
    return true;
  }

  #acknowledge({ violation_id, acknowledged }) {
    const rule = this.#byViolation.get(violation_id)?.rules.find((it) => it.violation_id === violation_id);
    if (!rule || rule.acknowledged === acknowledged) return false;
    rule.acknowledged = acknowledged;
    return true;
  }

  #withdraw(violationId) {
    const point = this.#byViolation.get(violationId);
    if (!point) return false;
    point.rules = point.rules.filter((rule) => rule.violation_id !== violationId);
    this.#byViolation.delete(violationId);
    return true;
  }

  #mark({ sample_id, is_excluded }) {
    const point = this.#byId.get(sample_id);
    if (!point || point.is_excluded === is_excluded) return false;
    point.is_excluded = is_excluded;
    return true;
  }

  /** Limits of the dispersion chart for full subgroups, before the first of their samples has been read. */
  learnLimits({ limits_id, dispersion }, subgroupSize) {
    if (limits_id) this.#learn(`${limits_id}/${subgroupSize}`, dispersion);
  }

  /** Whether a live point lacks its dispersion limits: the server knows them. */
  get lacksLimits() {
    const point = this.points.at(-1);
    return Boolean(point?.limits_id && point.dispersion !== null && point.dispersion_limits === undefined);
  }

  #learn(key, limits) {
    this.#dispersionLimits.set(key, limits);
    if (this.#dispersionLimits.size > 500) this.#dispersionLimits.delete(this.#dispersionLimits.keys().next().value);
  }

  #missing() {
    const first = Math.max(this.#oldest, Math.floor(this.#wanted.first));
    const last = Math.min(this.newest, Math.ceil(this.#wanted.last));
    if (first > last) return null;
    if (first > this.last + 1 || last < this.first - 1) return [Math.max(first, last - PAGE + 1), last, true];
    if (first < this.first) return [this.first - PAGE + 1, this.first];
    if (last > this.last) return [this.last, this.last + PAGE - 1];
    return null;
  }

  async #load(first, last, isJump = false) {
    const offset = Math.max(0, Math.floor(this.newest - this.#drift - last));
    const limit = Math.min(PAGE, last - Math.max(1, first) + 1);
    if (limit < 1) return;
    await this.#guarded(async (isStill) => {
      const samples = await this.#samples({ offset, limit });
      if (samples.items.length === 0) return;
      const times = samples.items.map(({ timestamp }) => Date.parse(timestamp));
      const range = { from: iso(Math.min(...times)), to: iso(Math.max(...times) + 1), limit: PAGE };
      const chart = await this.#chart(range);
      if (isStill()) this.#take(samples, chart, offset, isJump);
    });
  }

  #samples = (query) => get("samples", { characteristic_id: this.#id, ...query });
  #chart = (query) => get(`characteristics/${this.#id}/chart-data`, query);

  async #guarded(load) {
    this.#loading += 1;
    const generation = this.#generation;
    try {
      await load(() => this.#generation === generation);
    } finally {
      this.#loading -= 1;
      for (const message of this.#meanwhile) this.#apply(message);
      if (this.#loading === 0) this.#meanwhile = [];
      this.#changed();
    }
  }

  #take({ items, total }, chart, offset, isJump = false) {
    const drawn = new Map(chart.points.map((point) => [point.sample_id, point]));
    const limits = new Map();
    for (const { sample_id, limits: given } of chart.dispersion) if (given) limits.set(sample_id, given);
    let number = total - offset + this.#drift;
    const known = items.findIndex(({ sample_id }) => this.#byId.has(sample_id));
    if (known >= 0) {
      const drift = this.#byId.get(items[known].sample_id).number - (number - known);
      number += drift;
      this.#drift += drift;
    }
    const taken = items.map((sample, back) => {
      const point = drawn.get(sample.sample_id);
      const given = limits.get(sample.sample_id);
      const key = `${sample.limits_id}/${sample.n}`;
      // None is an answer, too: limits may be given for the values alone.
      if (point && sample.limits_id && sample.dispersion_value !== null) this.#learn(key, given ?? null);
      return pointOf(sample, point, given ?? (point ? null : this.#dispersionLimits.get(key)), number - back);
    }).reverse();
    const [first, last] = [taken[0]?.number ?? 0, taken.at(-1)?.number ?? 0];
    const touches = !isJump || (first <= this.last + 1 && last >= this.first - 1);
    const before = touches ? this.points.filter((point) => point.number < first) : [];
    // Beyond the newest there is nothing but what is told meanwhile, and that is put to it again.
    const after = touches && offset > 0 ? this.points.filter((point) => point.number > last) : [];
    const points = before.at(-1)?.number === first - 1 || before.length === 0 ? [...before, ...taken, ...after] : [...taken, ...after];
    this.#keep(points);
    this.newest = offset === 0 ? last : Math.max(this.newest, this.last, total + this.#drift);
    this.#trim();
  }

  #keep(points) {
    this.points = points;
    this.#byId.clear();
    this.#byViolation.clear();
    for (const point of points) this.#index(point);
  }

  #index(point) {
    this.#byId.set(point.sample_id, point);
    for (const { violation_id } of point.rules) this.#byViolation.set(violation_id, point);
  }

  /** Lets go of what is farthest from where somebody looks. */
  #trim() {
    const around = this.#wanted ? (this.#wanted.first + this.#wanted.last) / 2 : this.lookedAt ?? this.last;
    const over = this.points.length - MAX_POINTS;
    if (over <= 0) return;
    const isOldEnd = around - this.first > this.last - around;
    const gone = isOldEnd ? this.points.splice(0, over) : this.points.splice(-over, over);
    for (const point of gone) {
      this.#byId.delete(point.sample_id);
      for (const { violation_id } of point.rules) this.#byViolation.delete(violation_id);
    }
  }
}

const iso = (milliseconds) => new Date(milliseconds).toISOString();

/** A sample as a point; `drawn`: what the chart's data says of it, or null. */
function pointOf(sample, drawn, dispersionLimits, number) {
  const { sample_id, timestamp, value, n, limits_id, zone, in_control, ucl, center_line, lcl, mode, source } = sample;
  const answered = new Map(drawn?.rules.map((rule) => [rule.violation_id, rule.acknowledged]));
  return {
    number, sample_id, timestamp, value, n, limits_id, zone, in_control, ucl, center_line, lcl, mode, source,
    range: sample.range_value, dispersion: sample.dispersion_value,
    dispersion_limits: dispersionLimits,
    out_of_spec: sample.out_of_spec,
    is_excluded: sample.is_excluded ?? false,
    batch: sample.batch ?? null, operator: sample.operator ?? null,
    has_details: sample.batch !== undefined, // a live sample comes without batch and operator
    baseline: drawn?.baseline ?? false,
    rules: sample.violations.map((rule) => ({ ...rule, acknowledged: answered.get(rule.violation_id) ?? false })),
  };
}
