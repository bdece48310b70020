// The two charts, one above the other, with one x axis and one cursor. uPlot draws axes and lines; `draw.js` the rest.

import uPlot from "../vendor/uplot/uPlot.esm.js";

import { drawLines, drawMarks, limitLabels, readColours } from "./draw.js";
import { DISPERSION, heights, LOCATION } from "./panels.js";
import { el } from "../shared/dom.js";
import { count } from "../shared/format.js";

const STEPS = [1, 2, 5].flatMap((step) => [0, 1, 2, 3, 4, 5, 6].map((power) => step * 10 ** power)).sort((a, b) => a - b);

export class ChartPlot {
  #box;
  #hover;
  #plots = [];
  #scene = null;
  #look;
  #left = 60;
  #right = 92;
  #type = 0;
  #names = { location: el("p", { class: "plot-name" }), dispersion: el("p", { class: "plot-name" }) };
  #places = { location: el("div", { class: "plot" }), dispersion: el("div", { class: "plot" }) };

  /** @param {HTMLElement} box what the charts go into @param {(number: number | null) => void} hover a point, or none */
  constructor(box, hover) {
    this.#box = box;
    this.#hover = hover;
    box.append(this.#names.location, this.#places.location, this.#names.dispersion, this.#places.dispersion);
    new ResizeObserver(() => this.#fit()).observe(box);
    document.addEventListener("themechange", () => {
      this.#readLook();
      this.draw(this.#scene);
    });
  }

  /** The parts that take wheel and pointer. */
  get surfaces() {
    return this.#plots.map(({ plot }) => plot.over);
  }

  /** Called with each new surface. */
  onSurface = () => {};

  /** The number at a place of the screen, with its fraction; the same on both charts. */
  numberAt(clientX) {
    const { plot } = this.#plots[0];
    return plot.posToVal(clientX - plot.over.getBoundingClientRect().left, "x");
  }

  /** How many CSS pixels wide the charts are. */
  get width() {
    return this.#plots[0]?.plot.over.clientWidth || this.#box.clientWidth;
  }

  /** What each chart is about. */
  name({ location, dispersion, dispersionNote }) {
    this.#names.location.textContent = location;
    this.#names.dispersion.textContent = dispersionNote ? `${dispersion} (${dispersionNote})` : dispersion;
  }

  /**
   * @param {object} scene `view` (first, last), `points` (in view), `specification`, `decimals`, `preview`, `pattern`,
   *   `chosen`, `flags`
   */
  draw(scene) {
    if (!scene) return;
    this.#scene = scene;
    if (this.#plots.length === 0) this.#build();
    if (this.#plots.length === 0) return; // nothing to draw on yet
    scene.look = this.#look;
    const { points, view } = scene;
    const numbers = points.map((point) => point.number);
    const ranges = this.#plots.map(({ panel }) => heights(points, panel, wanted(scene, panel)));
    this.#left = this.#axisWidth(ranges);
    this.#right = Math.ceil(((limitLabels(scene).reduce((most, text) => Math.max(most, text.length), 0) * 7.3 + 10) * this.#look.scale) / 8) * 8;
    this.#plots.forEach(({ plot, panel }, index) => {
      const values = points.map((point) => (point.is_excluded ? undefined : panel.value(point)));
      plot.batch(() => {
        plot.setData([numbers, values], false);
        plot.setScale("x", { min: view.first - 0.5, max: view.last + 0.5 });
        plot.setScale("y", { min: ranges[index][0], max: ranges[index][1] });
        plot.redraw(false, true);
      });
    });
  }

  #build() {
    this.#readLook();
    for (const { plot } of this.#plots) plot.destroy();
    this.#plots = [];
    const { width, heights: [high, low] } = this.#sizes();
    if (width < 50) return;
    for (const [panel, height] of [[LOCATION, high], [DISPERSION, low]]) {
      const plot = new uPlot(this.#options(panel, width, height), [[], []], this.#places[panel.name]);
      this.#plots.push({ panel, plot });
      this.onSurface(plot.over);
    }
  }

  #readLook() {
    const type = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const isNarrow = this.#box.clientWidth < type * 34;
    // The size of type is 15 to 26 px with the screen; everything drawn goes with it.
    this.#look = { colours: readColours(), unit: (type / 16) * devicePixelRatio, scale: type / 16, hasRoomBeside: !isNarrow };
    this.#type = `${type} ${isNarrow} ${devicePixelRatio}`;
  }

  #sizes() {
    const width = this.#box.clientWidth;
    const room = Math.min(Math.max(innerHeight * 0.64, 320), 1_600);
    return { width, heights: [Math.round(room * 0.62), Math.round(room * 0.38)] };
  }

  #fit() {
    if (!this.#scene) return;
    const before = this.#type;
    this.#readLook();
    if (before !== this.#type || this.#plots.length === 0) this.#build();
    const { width, heights: tall } = this.#sizes();
    this.#plots.forEach(({ plot }, index) => plot.setSize({ width, height: tall[index] }));
    this.draw(this.#scene);
  }

  #options(panel, width, height) {
    const isUpper = panel === LOCATION;
    const { scale, hasRoomBeside } = this.#look;
    const font = `${Math.round(12 * scale)}px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif`;
    const colour = (name) => () => this.#look.colours[name];
    const grid = { stroke: colour("line"), width: 1 };
    return {
      width, height,
      legend: { show: false },
      padding: [isUpper ? 24 * scale : 10 * scale, hasRoomBeside ? () => this.#right : 8, isUpper ? 6 : 0, 0],
      cursor: {
        drag: { x: false, y: false }, y: false, points: { show: false },
        sync: { key: "control-chart", scales: ["x", null] },
        bind: { dblclick: () => null },
        move: (plot, left, top) => (left < 0 ? [left, top] : [this.#snap(plot, left), top]),
      },
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      series: [{}, { stroke: colour("series"), width: 1.4 * scale, points: { show: false } }],
      axes: [
        {
          font, stroke: colour("soft"), grid: { ...grid, show: false }, ticks: { ...grid, show: !isUpper, size: 5 },
          incrs: STEPS, space: 100 * scale, size: isUpper ? 0 : 44 * scale, gap: 4, show: !isUpper,
          values: (_, numbers) => numbers.map((number) => this.#pointLabel(number)),
        },
        {
          font, stroke: colour("soft"), grid: { ...grid, show: false }, ticks: { ...grid, size: 5 }, gap: 4,
          space: 34 * scale, size: () => this.#left,
          values: (_, values, _axis, _space, step) => values.map((value) => tick(value, step)),
        },
      ],
      hooks: {
        drawClear: [(plot) => apart(plot, () => drawLines(plot, this.#scene, panel))],
        draw: [(plot) => apart(plot, () => drawMarks(plot, this.#scene, panel))],
        setCursor: isUpper ? [(plot) => this.#tellHover(plot)] : [],
      },
    };
  }

  #snap(plot, left) {
    const number = Math.round(plot.posToVal(left, "x"));
    const { points } = this.#scene;
    if (points.length === 0) return left;
    return plot.valToPos(Math.min(points.at(-1).number, Math.max(points[0].number, number)), "x");
  }

  #tellHover(plot) {
    const { left } = plot.cursor;
    this.#hover(left === undefined || left < 0 ? null : Math.round(plot.posToVal(left, "x")));
  }

  #pointLabel(number) {
    const { points } = this.#scene;
    const point = points[number - (points[0]?.number ?? 0)];
    return point ? `${count(number)}\n${this.#time(point.timestamp)}` : count(number);
  }

  #time(timestamp) {
    const { points } = this.#scene;
    const range = Math.abs(Date.parse(points.at(-1).timestamp) - Date.parse(points[0].timestamp));
    return shortTime(timestamp, range);
  }

  /** Wide enough for the longest number of both charts, so that one stands right above the other. */
  #axisWidth(ranges) {
    const { scale } = this.#look;
    const longest = Math.max(...ranges.flatMap(([least, greatest]) => {
      const step = 10 ** Math.floor(Math.log10((greatest - least) / 6 || 1));
      return [least, greatest].map((value) => tick(value, step).length);
    }));
    return Math.ceil((longest * 7.4 + 14) * scale / 8) * 8;
  }
}

/** uPlot remembers how it has set its canvas up, and must find it like that. */
function apart({ ctx }, draw) {
  ctx.save();
  draw();
  ctx.restore();
}

function wanted({ specification, preview }, panel) {
  const lines = panel === LOCATION ? preview : preview?.dispersion;
  const values = lines ? [lines.ucl, lines.center_line, lines.lcl] : [];
  return panel === LOCATION ? [...values, ...specification.map(({ value }) => value)] : values;
}

const HOUR = 3_600_000;
const SHORT = [
  [HOUR / 12, { hour: "2-digit", minute: "2-digit", second: "2-digit" }],
  [20 * HOUR, { hour: "2-digit", minute: "2-digit" }],
  [300 * 24 * HOUR, { day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit" }],
  [Infinity, { year: "numeric", month: "2-digit", day: "2-digit" }],
].map(([most, options]) => [most, new Intl.DateTimeFormat(undefined, options)]);

/** A time as short as the range of all times allows. */
const shortTime = (timestamp, range) => SHORT.find(([most]) => range < most)[1].format(new Date(timestamp));

const ticks = new Map();
const PLACES = Array.from({ length: 13 }, (_, places) => places);
const isWhole = (value) => Math.abs(value - Math.round(value)) < 1e-6 * Math.max(1, Math.abs(value)) && Math.round(value) !== 0;

/** A number beside the axis: with as many decimals as the step between two of them has. */
function tick(value, step) {
  const size = Math.abs(value);
  const isPlain = size === 0 || (size < 1e9 && size >= 1e-6);
  const decimals = isPlain ? PLACES.find((places) => isWhole(step * 10 ** places)) ?? 12 : -1;
  if (!ticks.has(decimals)) {
    ticks.set(decimals, new Intl.NumberFormat(undefined, decimals < 0
      ? { notation: "scientific", maximumFractionDigits: 3 }
      : { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  }
  return ticks.get(decimals).format(value);
}
