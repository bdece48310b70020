// The newest points of a process, for a sparkline. Kept only while somebody looks at it.

/** As many points as a sparkline has. */
export const POINTS = 60;

/** Points in the order of arrival: `{ id, value, ucl, lcl, center, isOut }`. */
export class Series {
  points = [];
  /** What is here is not all that there is: the chart's data are to be read, and till then nothing is added. */
  isStale = true;
  /** Not before: the last time there was no answer. A time of `performance.now()`. */
  mayReadAt = 0;

  /** A sample as it comes. */
  add(sample) {
    const isKnown = this.points.length > 0 && this.points.at(-1).id >= sample.sample_id;
    if (this.isStale || isKnown || sample.value === null) return;
    this.points.push(pointOf(sample, sample.in_control === false));
    if (this.points.length > POINTS) this.points.shift();
  }

  /** The chart's data are being read; what makes them stale meanwhile is read again. */
  begin() {
    this.isStale = false;
  }

  /** The chart's data, as REST tells them. What came meanwhile stays behind it. */
  fill(points) {
    const read = points.filter((point) => !point.is_excluded).map((point) => pointOf(point, point.in_control === false));
    const last = points.at(-1)?.sample_id ?? 0; // the newest may be an excluded one
    this.points = [...read, ...this.points.filter((point) => point.id > last)].slice(-POINTS);
  }

  /** They could not be read. */
  fail(mayReadAt) {
    Object.assign(this, { isStale: true, mayReadAt });
  }

  /** Nobody looks at it any more. */
  forget() {
    Object.assign(this, { points: [], isStale: true });
  }
}

const pointOf = ({ sample_id: id, value, ucl, lcl, center_line: center }, isOut) => ({ id, value, ucl, lcl, center, isOut });
