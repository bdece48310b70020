// The buttons above the chart: through history, to a range of dates, to files, and to the control limits.

import { address, get, Problem } from "../shared/api.js";
import { byId, el, say } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { askForToken, token } from "../shared/session.js";
import { complain } from "../shared/shell.js";
import { csvOf, download } from "./table.js";

const MOST_IN_PICTURE = 200;
const MOST_IN_VIEW = 5_000;

/**
 * @param {{ id: number, points: object, view: object, asked: URLSearchParams, inView: () => object[],
 *   characteristic: () => object, openLimits: (from: HTMLElement) => void, keepAddress: () => void }} chart
 */
export function toolbar({ id, points, view, asked, inView, characteristic, openLimits, keepAddress }) {
  const button = (words, onclick, attributes = {}) => el("button", { type: "button", onclick, ...attributes }, words);
  const page = () => (view.last - view.first + 1) * 0.8;
  const older = button("◀ Older", () => view.pan(-page()));
  const newer = button("Newer ▶", () => view.pan(page()));
  const newest = button("Newest", async () => {
    await points.toNewest().catch(complain);
    view.toNewest();
  }, { id: "newest" });
  const wider = button("−", () => view.zoom(1.6), { "aria-label": "Show more points", title: "Show more points" });
  const closer = button("+", () => view.zoom(1 / 1.6), { "aria-label": "Show fewer points", title: "Show fewer points" });
  const where = el("span", { class: "soft number" });
  const dates = button("Dates…", () => toggle(), { "aria-expanded": "false", "aria-controls": "range" });
  const limits = button("Control limits…", () => openLimits(limits));
  const picture = (kind) => el("a", { class: "button", href: "#", download: "", onclick: (event) => savePicture(event, kind) }, kind.toUpperCase());
  const pictures = ["svg", "png"].map((kind) => [kind, picture(kind)]);
  const csv = button("CSV", () => saveCsv().catch(complain), { "aria-label": "The points in view as CSV" });
  byId("tools").append(
    el("div", {}, older, newer, newest, wider, closer, where),
    el("div", {}, dates, limits, ...pictures.map(([, link]) => link), csv));

  // ---- a range of dates

  const form = byId("range");
  const from = el("input", { id: "range-from", type: "datetime-local", step: "1" });
  const to = el("input", { id: "range-to", type: "datetime-local", step: "1" });
  const told = el("span", { class: "soft", role: "status" });
  form.append(el("label", { for: "range-from" }, "From"), from, el("label", { for: "range-to" }, "to"), to,
    el("button", { class: "primary" }, "Show"), told);
  let range = {};
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    showRange({ from: isoOf(from.value), to: isoOf(to.value) }).catch(complain);
  });

  function toggle(isOpen = form.hidden) {
    form.hidden = !isOpen;
    dates.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) from.focus();
    else range = {};
    keepAddress();
  }

  async function showRange(wanted) {
    const { items, total } = await get("samples", { characteristic_id: id, ...wanted, limit: 1 });
    if (total === 0) return say(told, "No samples in that range.");
    range = wanted;
    const last = await points.numberOf(items[0].sample_id);
    const shown = Math.min(total, MOST_IN_VIEW);
    view.show(last - shown + 1, last);
    say(told, total > shown ? `${count(total)} samples; the newest ${count(shown)} are shown.` : `${count(total)} samples.`);
    keepAddress();
  }

  // ---- pictures

  /** The server's own picture of what is in view, as far as it has room. */
  function pictureAddress(kind) {
    const shown = inView().slice(-MOST_IN_PICTURE);
    const times = shown.map((point) => Date.parse(point.timestamp));
    const span = view.isFollowing || times.length === 0 ? {} : { from: new Date(Math.min(...times)).toISOString(), to: new Date(Math.max(...times) + 1).toISOString() };
    return address(`characteristics/${id}/chart.${kind}`, { ...span, limit: Math.max(1, shown.length) });
  }

  /** A link cannot bring a token along. */
  async function savePicture(event, kind) {
    if (!token()) return;
    event.preventDefault();
    try {
      download(await getBlob(pictureAddress(kind)), `${fileName()}.${kind}`);
    } catch (error) {
      complain(error);
    }
  }

  async function saveCsv() {
    const [first, last] = [inView()[0]?.number, inView().at(-1)?.number];
    if (first !== undefined) await points.completeDetails(first, last);
    download(csvOf(first === undefined ? [] : points.between(first, last)), `${fileName()}.csv`, "text/csv;charset=utf-8");
  }

  const fileName = () => (characteristic()?.name ?? `chart ${id}`).replace(/[^\p{L}\p{N}._ -]+/gu, "_").slice(0, 80);

  return {
    show() {
      say(newest, view.unseen ? `Newest (${count(view.unseen)} new)` : "Newest");
      newest.classList.toggle("calls", view.unseen > 0);
      newest.disabled = newer.disabled = view.isFollowing;
      older.disabled = view.first <= 1;
      const [first, last] = [Math.max(1, Math.round(view.first)), Math.min(points.newest, Math.floor(view.last))];
      say(where, points.newest ? `${count(first)}–${count(last)} of ${count(points.newest)}` : "");
      for (const [kind, link] of pictures) {
        const { href } = pictureAddress(kind);
        if (link.href !== href) link.href = href;
        link.download = `${fileName()}.${kind}`;
      }
    },
    /** What of it belongs into the page's address. */
    query: () => Object.fromEntries(Object.entries(range).filter(([, value]) => value)),
    async followAddress() {
      const wanted = { from: asked.get("from"), to: asked.get("to") };
      if (!wanted.from && !wanted.to) return;
      toggle(true);
      from.value = localOf(wanted.from);
      to.value = localOf(wanted.to);
      if (!asked.get("until")) await showRange(wanted);
      else range = wanted;
    },
  };
}

/** As the calls of `api.js`: a missing or wrong token is asked for, and the call is made again. */
async function getBlob(url) {
  for (;;) {
    const used = token();
    const answer = await fetch(url, { headers: used ? { Authorization: `Bearer ${used}` } : {} }).catch(() => {
      throw new Problem(0, { title: "The server cannot be reached." });
    });
    if (answer.ok) return answer.blob();
    const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
    if (problem.status !== 401) throw problem;
    if (token() === used) await askForToken(problem.message); // somebody else may have been asked meanwhile
  }
}

const isoOf = (local) => (local ? new Date(local).toISOString() : null);

/** As the browser's field for dates wants it: in the reader's own time. */
function localOf(iso) {
  if (!iso) return "";
  const date = new Date(iso);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
