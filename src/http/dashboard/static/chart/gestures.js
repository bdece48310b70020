// Wheel, drag and pinch on the charts, and keys: they move the view or choose a point.

const CLICK = 5; // so many pixels are a trembling hand
const WHEEL = 1.0015; // a notch of a hundred pixels: 16 % more or fewer points

/**
 * Lets a surface be dragged, pinched, zoomed by the wheel, and clicked.
 *
 * @param {HTMLElement} surface
 * @param {{ view: import("./view.js").View, plot: import("./plot.js").ChartPlot, choose: (number: number) => void }} chart
 */
export function listenToHands(surface, { view, plot, choose }) {
  const fingers = new Map();
  let moved = 0;

  surface.addEventListener("wheel", (event) => {
    const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const pixels = (event.deltaX || event.deltaY) * (event.deltaMode === 1 ? 30 : 1);
    if (isSideways) {
      event.preventDefault();
      view.pan((pixels / plot.width) * (view.last - view.first + 1));
      return;
    }
    const steps = event.deltaY * (event.deltaMode === 1 ? 30 : 1) * (event.ctrlKey ? 5 : 1); // pinching a touchpad is finer
    const around = view.isFollowing && plot.numberAt(event.clientX) > view.last - 1 ? undefined : plot.numberAt(event.clientX);
    // Where there is nothing more to see, the page scrolls on.
    if (view.zoom(WHEEL ** steps, around)) event.preventDefault();
  }, { passive: false });

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    surface.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event.clientX);
    moved = fingers.size > 1 ? Infinity : 0;
  });
  surface.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    const by = event.clientX - fingers.get(event.pointerId);
    fingers.set(event.pointerId, event.clientX);
    moved += Math.abs(by);
    if (moved < CLICK) {
      fingers.set(event.pointerId, event.clientX - by); // measured from where the finger was put
      moved = Math.abs(by);
      return;
    }
    const shown = view.last - view.first + 1;
    if (fingers.size === 1) view.pan((-by / plot.width) * shown);
    else if (fingers.size === 2) {
      const after = [...fingers.values()];
      const [wide, narrow] = [Math.abs(before[0] - before[1]), Math.abs(after[0] - after[1])];
      if (wide > 10 && narrow > 10) view.zoom(wide / narrow, plot.numberAt((after[0] + after[1]) / 2));
    }
  });
  const lift = (event) => {
    const wasClick = fingers.delete(event.pointerId) && moved < CLICK && event.type === "pointerup";
    if (wasClick) choose(Math.round(plot.numberAt(event.clientX)));
  };
  surface.addEventListener("pointerup", lift);
  surface.addEventListener("pointercancel", lift);
}

/** What a key does, by its name: so many points further, or to an end. */
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10 };

/**
 * Lets the arrows walk from point to point, as on a slider; plus and minus zoom.
 *
 * @param {HTMLElement} slider
 * @param {{ view: object, choose: (number: number) => void, chosen: () => number | null, ends: () => [number, number] }} chart
 */
export function listenToKeys(slider, { view, choose, chosen, ends }) {
  slider.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const act = actOf(event.key, { view, choose, chosen, ends });
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function actOf(key, { view, choose, chosen, ends }) {
  const [first, last] = ends();
  if (key in STEPS) {
    const from = chosen();
    return () => choose(from === null ? Math.floor(view.last) : Math.min(last, Math.max(first, from + STEPS[key])));
  }
  return {
    Home: () => choose(first),
    End: () => choose(last),
    Escape: () => choose(null),
    "+": () => view.zoom(0.7, chosen() ?? undefined),
    "=": () => view.zoom(0.7, chosen() ?? undefined),
    "-": () => view.zoom(1 / 0.7, chosen() ?? undefined),
  }[key];
}
