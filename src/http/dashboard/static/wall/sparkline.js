// Draws a sparkline with its limits on a canvas. Cheap: two hundred may change ten times in a second.

import { POINTS } from "./series.js";

/** The colours of now, read once for all sparklines. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return { series: colour("--series"), limit: colour("--limit"), center: colour("--center"), none: colour("--none") };
}

/**
 * @param {HTMLCanvasElement} canvas whose size on the page is known: `width` and `height` in CSS pixels
 * @param {import("./series.js").Series} series
 */
export function drawSparkline(canvas, series, { width, height, ratio }, colours) {
  const [pixelsWide, pixelsHigh] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixelsWide) canvas.width = pixelsWide;
  if (canvas.height !== pixelsHigh) canvas.height = pixelsHigh;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const { points } = series;
  if (points.length === 0) return;
  const { low, high } = range(points);
  const margin = 4;
  const x = (index) => margin + ((index + POINTS - points.length) / (POINTS - 1)) * (width - 2 * margin);
  const y = (value) => height - margin - ((value - low) / (high - low)) * (height - 2 * margin);

  context.lineWidth = 1;
  line(context, points, x, (point) => point.center, y, colours.center, []);
  line(context, points, x, (point) => point.ucl, y, colours.limit, [4, 3]);
  line(context, points, x, (point) => point.lcl, y, colours.limit, [4, 3]);
  context.lineWidth = 1.6;
  line(context, points, x, (point) => point.value, y, points.at(-1).ucl === null ? colours.none : colours.series, []);
  context.fillStyle = colours.limit;
  points.forEach((point, index) => {
    if (!point.isOut) return;
    context.beginPath();
    context.moveTo(x(index), y(point.value) - 4); // a diamond: not only another colour
    context.lineTo(x(index) + 4, y(point.value));
    context.lineTo(x(index), y(point.value) + 4);
    context.lineTo(x(index) - 4, y(point.value));
    context.fill();
  });
}

function range(points) {
  let [low, high] = [Infinity, -Infinity];
  for (const { value, ucl, lcl } of points) {
    low = Math.min(low, value, lcl ?? value);
    high = Math.max(high, value, ucl ?? value);
  }
  return low < high ? { low, high } : { low: low - 1, high: high + 1 };
}

function line(context, points, x, of, y, colour, dashes) {
  context.beginPath();
  context.setLineDash(dashes);
  context.strokeStyle = colour;
  let isDrawing = false;
  points.forEach((point, index) => {
    const value = of(point);
    if (value === null || value === undefined) {
      isDrawing = false;
      return;
    }
    if (isDrawing) context.lineTo(x(index), y(value));
    else context.moveTo(x(index), y(value));
    isDrawing = true;
  });
  context.stroke();
}
