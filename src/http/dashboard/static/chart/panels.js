// The two charts of a control chart: what each plots of a point, by which lines it is judged, and how high it is.

/** Zones are thirds of the way from the center line to each limit: at limits of three sigma, one sigma wide. */
export const THIRDS = [1, 2, 3];

// How far beyond the control limits the axis goes, in widths between them: a single wild value does not press all others
// into one line. The pictures that the server draws do the same.
const BEYOND = 1.5;

/** The values, or the means of subgroups. */
export const LOCATION = {
  name: "location",
  hasZones: true,
  value: (point) => point.value,
  lines: (point) => (point.ucl === null || point.center_line === null ? null : point),
  signals: (point) => point.rules.filter((rule) => rule.chart !== "dispersion"),
  isJudged: (point) => point.in_control !== null,
};

/** Moving range, range or standard deviation. */
export const DISPERSION = {
  name: "dispersion",
  hasZones: false,
  value: (point) => point.dispersion,
  lines: (point) => point.dispersion_limits ?? null,
  signals: (point) => point.rules.filter((rule) => rule.chart === "dispersion"),
  isJudged: (point) => Boolean(point.dispersion_limits),
};

/** The line so many thirds of the way from the center line to the upper limit, or the lower one where negative. */
export function lineAt({ ucl, center_line, lcl }, thirds) {
  return center_line + ((thirds < 0 ? lcl : ucl) - center_line) * Math.abs(thirds) / 3;
}

/** Stretches of points that the same lines judge: calls with the lines, and the numbers of the first and the last. */
export function eachStretch(points, panel, call) {
  let from = 0;
  while (from < points.length) {
    const lines = panel.lines(points[from]);
    let to = from + 1;
    while (to < points.length && same(lines, panel.lines(points[to]))) to += 1;
    if (lines) call(lines, points[from].number, points[to - 1].number);
    from = to;
  }
}

const same = (a, b) =>
  a === b || (a !== null && b !== null && a.ucl === b.ucl && a.center_line === b.center_line && a.lcl === b.lcl);

/**
 * How low and how high a chart's axis goes.
 *
 * @param {object[]} points those in view @param {object} panel
 * @param {number[]} wanted what is shown, too, if it is not far away
 * @returns {[number, number]}
 */
export function heights(points, panel, wanted) {
  let [least, greatest] = [Infinity, -Infinity];
  eachStretch(points, panel, ({ lcl, ucl }) => {
    least = Math.min(least, lcl ?? ucl);
    greatest = Math.max(greatest, ucl);
  });
  const values = points.filter((point) => !point.is_excluded).map(panel.value).filter((value) => value !== null);
  if (least > greatest) [least, greatest] = middleHalf(values);
  const beyond = (greatest - least) * BEYOND;
  const isNear = (value) => beyond === 0 || (value >= least - beyond && value <= greatest + beyond);
  for (const value of [...values, ...wanted].filter(isNear)) {
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  if (least === greatest) {
    const room = Math.abs(least) * 0.01 || 1;
    return [least - room, greatest + room];
  }
  const room = (greatest - least) * 0.08;
  return [least - (panel.hasZones || least > 0 ? room : 0), greatest + room];
}

/** Between which the middle half of the values lies, widened on both sides by as much. */
function middleHalf(values) {
  if (values.length === 0) return [0, 1];
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part) => sorted[Math.floor((sorted.length - 1) * part)];
  const width = at(0.75) - at(0.25);
  return [at(0.25) - width, at(0.75) + width];
}
