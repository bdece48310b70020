// Prints what happens to some characteristics, and goes on where it was when the server or the network breaks.
//
//     npm install ws
//     node alerts.mjs http://127.0.0.1:8080 1 2

import { createRequire } from "node:module";

const { WebSocket } = createRequire(import.meta.url)("ws");
const [server, ...ids] = process.argv.slice(2);
let since, revisions, silence, failures = 0;

function listen() {
  const socket = new WebSocket(server.replace("http", "ws") + "/api/v1/ws", { handshakeTimeout: 10_000 });
  const subscription = { type: "subscribe", characteristic_ids: ids.map(Number), since };
  socket.on("open", () => socket.send(JSON.stringify(subscription)));
  socket.on("message", (text) => {
    console.log(text.toString());
    clearTimeout(silence);
    silence = setTimeout(() => socket.terminate(), 60_000); // a heartbeat comes every 15 s
    receive(JSON.parse(text));
  });
  socket.on("error", (error) => console.error(error.message));
  socket.on("close", (code, reason) => {
    const told = /"retry_after_ms":(\d+)/.exec(reason);
    setTimeout(listen, told ? Number(told[1]) : Math.random() * Math.min(30_000, 1_000 * 2 ** failures++));
  });
  revisions = null; // nothing counts before the answer to the subscription
}

function receive({ type, epoch, seq, characteristic_id: id, revision, skipped = 0, ...message }) {
  if (type === "subscribed") [since, revisions] = [{ epoch, seq }, message.revisions];
  if (!revisions || revision === undefined || type === "snapshot") return;
  [since.seq, failures] = [Math.max(since.seq, seq), 0];
  if (id in revisions && revision !== revisions[id] + 1 + skipped) console.error(`events are missing before ${seq}`);
  if (id in revisions) revisions[id] = revision;
}

listen();
