// Who listens to this server, to what and how well; and how to show somebody out.

import { get, remove } from "../shared/api.js";
import { byId, el, say } from "../shared/dom.js";
import { ago, count, duration, fullTime } from "../shared/format.js";
import { ask } from "./ask.js";
import { place, placed, placedNumber } from "./place.js";
import { Refresh } from "./refresh.js";
import { Pages, Table, tell } from "./table.js";
import { QUALITIES, bytes } from "./words.js";

const LIMIT = 25;
const ORDERS = [["queued", "most waiting"], ["stalled", "longest standstill"], ["", "oldest connection"]];

export function connections(client, everyMs) {
  const section = byId("connections");
  let ours = null;
  client.on("welcome", (message) => { ours = (message.payload ?? message).connection_id; });

  const choice = (name, options, value) => el("select", { id: `connections-${name}`, onchange: chosen },
    ...options.map(([word, text]) => el("option", { value: word, selected: word === value }, text)));
  const order = choice("order", ORDERS.map(([word, text]) => [word || "number", text]), placed("order", "queued"));
  const quality = choice("quality", [["", "any"], ...Object.entries(QUALITIES).map(([word, { word: text }]) => [word, text.toLowerCase()])], placed("quality"));
  const total = el("p", { class: "soft", id: "connections-total" });
  const pages = new Pages({ limit: LIMIT, offset: placedNumber("connections_from", { fallback: 0 }), what: "connections", go: turned });
  const table = new Table({
    caption: "Connections",
    none: "Nobody is connected.",
    key: ({ connection_id: id }) => id,
    columns: [
      { title: "Who", class: "who", tell: tellWho },
      { title: "Listens to", say: listening },
      { title: "Quality", tell: tellQuality },
      { title: "Waiting", class: "number", say: ({ queued_frames: frames, queued_bytes: size }) => (frames === 0 ? "0" : `${count(frames)} (${bytes(size)})`) },
      { title: "Takes nothing for", class: "number", say: ({ stalled_ms: stalled }) => (stalled === 0 ? "–" : duration(stalled)) },
      { title: "Events got", class: "number", say: ({ delivered }) => count(delivered) },
      { title: "Samples skipped", class: "number", say: ({ skipped_samples: skipped }) => count(skipped) },
      { title: "Confirmed up to", class: "number", say: ({ received_seq: seq }) => count(seq) },
      { title: "Since", tell: (cell, { connected_at: at }) => { say(cell, ago(at)); cell.title = fullTime(at); } },
      { title: "Actions", class: "do", make: (cell, current) => cell.append(el("button", { type: "button", onclick: () => showOut(current()),
        "aria-label": `Disconnect connection ${current().connection_id}` }, "Disconnect")) },
    ],
  });
  section.append(
    el("div", { class: "bar" }, el("label", { for: "connections-order" }, "First"), order,
      el("label", { for: "connections-quality" }, "Quality"), quality, total),
    table.element, pages.element);

  const refresh = new Refresh({
    section,
    everyMs,
    ask: (signal) => get("connections", { order: order.value === "number" ? null : order.value, quality: quality.value, offset: pages.offset, limit: LIMIT }, signal),
    show(answer) {
      if (pages.show(answer)) return refresh.soon();
      say(total, `${count(answer.total)} ${answer.total === 1 ? "connection" : "connections"}`);
      table.show(answer.items, quality.value ? "No connection has this quality." : "Nobody is connected.");
    },
  });

  function chosen() {
    pages.rewind();
    place("order", order.value === "queued" ? null : order.value);
    place("quality", quality.value);
    turned(0);
  }

  function turned(offset) {
    place("connections_from", offset);
    refresh.changed();
  }

  function tellWho(cell, { connection_id: id, user, address, transport, deflated, state, behind }) {
    const lines = [
      `${user ?? "no login"}${id === ours ? " (this page)" : ""}`,
      [address, transport === "event_stream" ? "event stream" : "WebSocket", deflated && "compressed"].filter(Boolean).join(", "),
      [`connection ${id}`, state === "replaying" && "catching up, or has not said what it wants", behind && "behind: gets the newest samples only"].filter(Boolean).join(", "),
    ];
    if (cell.dataset.told === lines.join("\n")) return;
    cell.dataset.told = lines.join("\n");
    cell.replaceChildren(el("strong", {}, lines[0]), el("br"), lines[1], el("br"), el("small", { class: "soft" }, lines[2]));
  }

  function showOut(connection) {
    const { connection_id: id, user, address } = connection;
    const who = [user ?? "no login", address].filter(Boolean).join(", ");
    ask({
      title: `Disconnect connection ${id}?`,
      content: [
        el("p", {}, `${who}. Programs that are written for it, this page among them, connect again by themselves and miss nothing.`),
        id === ours && el("p", {}, "It is the connection of this very page."),
      ].filter(Boolean),
      action: "Disconnect",
      async act() {
        await remove(`connections/${id}`);
        refresh.changed();
      },
    });
  }

  return refresh;
}

function listening({ subscriptions: { all, characteristics, groups } }) {
  if (all) return "all characteristics";
  const parts = [
    characteristics > 0 && `${count(characteristics)} ${characteristics === 1 ? "characteristic" : "characteristics"}`,
    groups?.length > 0 && `${groups.slice(0, 3).join(", ")}${groups.length > 3 ? ` and ${count(groups.length - 3)} more groups` : ""}`,
  ].filter(Boolean);
  return parts.join("; ") || "nothing in particular";
}

function tellQuality(cell, { quality, latency_ms: latency }) {
  const { word, tone } = QUALITIES[quality] ?? { word: "Not measured yet", tone: "none" };
  const text = latency === null ? word : `${word}, ${duration(latency)}`;
  tell(cell, { word: text, tone, explanation: "the newest round trip of a ping" });
}
