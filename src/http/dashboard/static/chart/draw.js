// Draws one chart's zones, limits and marks onto uPlot's canvas, in device pixels.
//
// What a point is shows in its shape: a disc is in control, a diamond signals (hollow: answered), a cross is excluded, an
// empty ring was not judged; a square around it: out of specification. Colours only repeat it.

import { count, number } from "../shared/format.js";
import { DISPERSION, eachStretch, lineAt, LOCATION, THIRDS } from "./panels.js";
import { limitDecimals } from "./words.js";

const COLOURS = ["card", "ink", "soft", "line", "accent", "alarm", "taken", "none", "series", "limit", "center", "spec"];
const MANY = 900; // points in view, from which the line alone tells of those in control
const ZONE_STRENGTH = [0.15, 0.09, 0.045]; // from the center outwards

/** The page's colours as they are now. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/**
 * A pen for one chart: where things stand on its canvas.
 *
 * @param {object} plot uPlot @param {object} look `colours`, `unit` (device pixels of a CSS pixel at ordinary type size)
 */
function pen(plot, look) {
  const { ctx, bbox: { left, top, width, height } } = plot;
  return {
    ctx, left, top, right: left + width, bottom: top + height, ...look,
    x: (at) => plot.valToPos(at, "x", true),
    y: (value) => plot.valToPos(value, "y", true),
    line(points, colour, width, dash = []) {
      ctx.beginPath();
      points.forEach(([x, y], index) => (index ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
      ctx.strokeStyle = colour;
      ctx.lineWidth = width * look.unit;
      ctx.setLineDash(dash.map((length) => length * look.unit));
      ctx.stroke();
      ctx.setLineDash([]);
    },
    words(text, x, y, colour, align = "center", size = 12) {
      ctx.font = `600 ${size * look.unit}px system-ui, "DejaVu Sans", sans-serif`;
      ctx.textAlign = align;
      ctx.textBaseline = "middle";
      ctx.lineJoin = "round";
      ctx.lineWidth = 3.5 * look.unit;
      ctx.strokeStyle = look.colours.card;
      ctx.strokeText(text, x, y);
      ctx.fillStyle = colour;
      ctx.fillText(text, x, y);
      return ctx.measureText(text).width;
    },
  };
}

function within({ ctx, left, top, right, bottom }, draw, above = 0) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top - above, right - left, bottom - top + above);
  ctx.clip();
  draw();
  ctx.restore();
}

/** What lies behind the points: zones, limits as far as each judged, specification, phases, a preview. */
export function drawLines(plot, scene, panel) {
  const at = pen(plot, scene.look);
  const { colours, ctx } = { colours: at.colours, ctx: at.ctx };
  const points = scene.points;
  within(at, () => {
    eachStretch(points, panel, (lines, first, last) => drawStretch(at, panel, lines, [at.x(first - 0.5), at.x(last + 0.5)]));
    drawPhases(at, points);
    if (panel.hasZones) {
      for (const { value } of scene.specification) at.line([[at.left, at.y(value)], [at.right, at.y(value)]], colours.spec, 2, [1.5, 4]);
      drawBaseline(at, points);
    }
    const preview = scene.preview && (panel.hasZones ? scene.preview : scene.preview.dispersion);
    if (preview) {
      ctx.globalAlpha = 0.9;
      for (const value of [preview.ucl, preview.center_line, preview.lcl]) {
        at.line([[at.left, at.y(value)], [at.right, at.y(value)]], colours.accent, 2.5, [10, 6]);
      }
      ctx.globalAlpha = 1;
    }
    drawPattern(at, scene);
  });
}

function drawStretch(at, panel, lines, [left, right]) {
  const { ctx, colours } = at;
  if (panel.hasZones) {
    ctx.fillStyle = colours.series;
    for (const third of THIRDS) {
      ctx.globalAlpha = ZONE_STRENGTH[third - 1];
      for (const side of [1, -1]) {
        const [inner, outer] = [at.y(lineAt(lines, side * (third - 1))), at.y(lineAt(lines, side * third))];
        ctx.fillRect(left, Math.min(inner, outer), right - left, Math.abs(outer - inner));
      }
    }
    ctx.globalAlpha = 0.8;
    for (const thirds of [-2, -1, 1, 2]) {
      const y = at.y(lineAt(lines, thirds));
      at.line([[left, y], [right, y]], colours.line, 1);
    }
    ctx.globalAlpha = 1;
  }
  at.line([[left, at.y(lines.center_line)], [right, at.y(lines.center_line)]], colours.center, 1.6);
  for (const value of [lines.ucl, lines.lcl]) {
    if (value !== null) at.line([[left, at.y(value)], [right, at.y(value)]], colours.limit, 1.8, [8, 4]);
  }
}

/** Where other limits begin to judge. */
function drawPhases(at, points) {
  for (let index = 1; index < points.length; index += 1) {
    if (points[index].limits_id === points[index - 1].limits_id) continue;
    const x = at.x(points[index].number - 0.5);
    at.line([[x, at.top], [x, at.bottom]], at.colours.soft, 1.2, [2, 3]);
  }
}

/** A bar along the bottom: from these points the limits in force were calculated. */
function drawBaseline(at, points) {
  at.ctx.fillStyle = at.colours.center;
  let from = null;
  points.forEach((point, index) => {
    if (point.baseline) from ??= point.number;
    const isEnd = from !== null && (!points[index + 1]?.baseline);
    if (!isEnd || !point.baseline) return;
    at.ctx.fillRect(at.x(from - 0.5), at.bottom - 4 * at.unit, at.x(point.number + 0.5) - at.x(from - 0.5), 4 * at.unit);
    from = null;
  });
}

/** Behind the points that form the pattern of the chosen violation, and behind the chosen point. */
function drawPattern(at, { points, pattern, chosen }) {
  const { ctx, colours } = at;
  const width = Math.max(3 * at.unit, at.x(2) - at.x(1));
  ctx.fillStyle = colours.accent;
  ctx.globalAlpha = 0.16;
  if (pattern.size > 0) {
    for (const point of points) if (pattern.has(point.sample_id)) ctx.fillRect(at.x(point.number) - width / 2, at.top, width, at.bottom - at.top);
  }
  ctx.globalAlpha = 1;
  if (chosen !== null) at.line([[at.x(chosen), at.top], [at.x(chosen), at.bottom]], colours.accent, 1.5);
}

/** The points themselves, over uPlot's line; says which signs it took. */
export function drawMarks(plot, scene, panel) {
  const at = pen(plot, scene.look);
  const { ctx, colours, unit } = at;
  const { min, max } = plot.scales.y;
  const isDense = scene.points.length > MANY;
  const size = Math.max(2, Math.min(4, (at.x(2) - at.x(1)) / unit / 2.2)) * unit;
  const paths = { good: new Path2D(), unjudged: new Path2D(), excluded: new Path2D(), open: new Path2D(), answered: new Path2D(), spec: new Path2D(), pattern: new Path2D() };
  const labels = [];
  for (const point of scene.points) {
    const value = panel.value(point);
    if (value === null) continue;
    const isBeyond = value < min || value > max;
    const [x, y] = [at.x(point.number), at.y(Math.min(max, Math.max(min, value)))];
    const signals = point.is_excluded ? [] : panel.signals(point);
    if (scene.pattern.has(point.sample_id) && scene.patternChart === panel.name) circle(paths.pattern, x, y, size + 6 * unit);
    if (panel.hasZones && point.out_of_spec) paths.spec.rect(x - 8 * unit, y - 8 * unit, 16 * unit, 16 * unit);
    if (point.is_excluded) cross(paths.excluded, x, y, 4.5 * unit);
    else if (signals.length > 0) diamond(signals.every((rule) => rule.acknowledged) ? paths.answered : paths.open, x, y, 6.5 * unit);
    else if (!panel.isJudged(point)) circle(paths.unjudged, x, y, size);
    else if (!isDense || isBeyond) circle(paths.good, x, y, size);
    const rules = [...new Set(signals.map((rule) => rule.rule_id))].join(",");
    if (rules || isBeyond) labels.push([x, y, [isBeyond && `${value > max ? "▴" : "▾"} ${number(value, scene.decimals)}`, rules].filter(Boolean).join(" · "), rules ? colours.alarm : colours.soft]);
  }
  within(at, () => {
    stroke(ctx, paths.pattern, colours.accent, 2.5 * unit);
    fill(ctx, paths.good, colours.series);
    fill(ctx, paths.unjudged, colours.card);
    stroke(ctx, paths.unjudged, colours.none, 1.6 * unit);
    stroke(ctx, paths.excluded, colours.none, 2.2 * unit);
    fill(ctx, paths.answered, colours.card);
    stroke(ctx, paths.answered, colours.alarm, 2 * unit);
    fill(ctx, paths.open, colours.alarm);
    stroke(ctx, paths.open, colours.card, 1 * unit);
    stroke(ctx, paths.spec, colours.spec, 2 * unit);
    drawLabels(at, labels);
  }, 8 * unit);
  drawLimitLabels(at, scene, panel);
  if (panel.hasZones) drawFlags(at, scene);
}

const circle = (path, x, y, r) => {
  path.moveTo(x + r, y);
  path.arc(x, y, r, 0, 2 * Math.PI);
};
const cross = (path, x, y, r) => {
  path.moveTo(x - r, y - r);
  path.lineTo(x + r, y + r);
  path.moveTo(x - r, y + r);
  path.lineTo(x + r, y - r);
};
const diamond = (path, x, y, r) => {
  path.moveTo(x, y - r);
  path.lineTo(x + r, y);
  path.lineTo(x, y + r);
  path.lineTo(x - r, y);
  path.closePath();
};
const fill = (ctx, path, colour) => {
  ctx.fillStyle = colour;
  ctx.fill(path);
};
const stroke = (ctx, path, colour, width) => {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.stroke(path);
};

/** Numbers of rules and values off the axis, where there is room; the newest first: it is what people look for. */
function drawLabels(at, labels) {
  const taken = [];
  const [height, most] = [15 * at.unit, 150];
  for (const [x, y, text, colour] of labels.reverse()) {
    if (taken.length > most) return;
    const half = (text.length * 7.2 * at.unit) / 2;
    const middle = Math.min(Math.max(x, at.left + half), at.right - half);
    const room = [-17, 17].map((by) => y + by * at.unit).find((place) =>
      place > at.top - 2 * at.unit && place < at.bottom - 6 * at.unit &&
      !taken.some((other) => Math.abs(other.x - middle) < other.half + half && Math.abs(other.y - place) < height));
    if (room === undefined) continue;
    taken.push({ x: middle, y: room, half });
    at.words(text, middle, room, colour);
  }
}

/** The newest limits in view, beside the chart, or within it where there is no room beside. */
function drawLimitLabels(at, scene, panel) {
  const gap = 14 * at.unit;
  const placed = labelsOf(scene, panel).map((label) => ({ ...label, y: at.y(label.value) }))
    .filter(({ y }) => y >= at.top - 1 && y <= at.bottom + 1).sort((a, b) => a.y - b.y);
  for (let index = 1; index < placed.length; index += 1) placed[index].y = Math.max(placed[index].y, placed[index - 1].y + gap);
  for (const { name, text, colour, y } of placed) {
    if (scene.look.hasRoomBeside) at.words(text, at.right + 6 * at.unit, y, at.colours[colour], "left", 11.5);
    else at.words(name, at.right - 3 * at.unit, y - 7 * at.unit, at.colours[colour], "right", 10);
  }
}

function labelsOf({ points, specification, decimals }, panel) {
  const newest = points.findLast((point) => panel.lines(point));
  const lines = newest && panel.lines(newest);
  const labels = [];
  const put = (name, value, places, colour) => labels.push({ name, value, colour, text: `${name} ${number(value, places)}` });
  if (lines) {
    const fine = limitDecimals(decimals);
    put("UCL", lines.ucl, fine, "limit");
    put("CL", lines.center_line, fine, "center");
    if (lines.lcl !== null) put("LCL", lines.lcl, fine, "limit");
  }
  if (panel.hasZones) for (const { name, value } of specification) put(name, value, decimals, "spec");
  return labels;
}

/** What stands beside the charts. */
export const limitLabels = (scene) => [LOCATION, DISPERSION].flatMap((panel) => labelsOf(scene, panel)).map(({ text }) => text);

/** Flags along the top: answers, and other limits. What they say stands with the point, and in a list. */
function drawFlags(at, { points, flags }) {
  if (points.length === 0) return;
  const [first, last] = [points[0].number, points.at(-1).number];
  let right = -Infinity;
  for (const { number: place, kinds, total } of flags) {
    if (place < first || place > last) continue;
    const x = at.x(place);
    const letter = kinds.has("limits") ? "L" : "✓";
    const colour = kinds.has("limits") ? at.colours.center : at.colours.taken;
    if (x - right < 13 * at.unit) continue; // they would cover each other
    right = x;
    const y = at.top - 12 * at.unit;
    at.line([[x, y + 6 * at.unit], [x, at.top]], colour, 1.5);
    const box = new Path2D();
    box.roundRect(x - 7 * at.unit, y - 8 * at.unit, 14 * at.unit, 15 * at.unit, 3 * at.unit);
    fill(at.ctx, box, colour);
    at.ctx.fillStyle = at.colours.card;
    at.ctx.font = `700 ${10.5 * at.unit}px system-ui, "DejaVu Sans", sans-serif`;
    at.ctx.textAlign = "center";
    at.ctx.textBaseline = "middle";
    at.ctx.fillText(total > 1 && total < 10 ? count(total) : letter, x, y);
  }
}
