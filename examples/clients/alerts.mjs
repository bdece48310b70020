// Watches one characteristic, acknowledges its first violation, and ends when that is heard of.
//
//     npm install ws
//     node alerts.mjs http://127.0.0.1:8080 1

import { createRequire } from "node:module";

const { WebSocket } = createRequire(import.meta.url)("ws");
const [server, id] = process.argv.slice(2);
const socket = new WebSocket(server.replace("http", "ws") + "/api/v1/ws");
let answered = null;

async function acknowledge(violationId) {
  const response = await fetch(`${server}/api/v1/violations/${violationId}/acknowledge`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ reason: "Under Investigation", user: "alerts.mjs" }),
  });
  if (!response.ok) throw new Error(await response.text());
}

socket.on("open", () => socket.send(JSON.stringify({ type: "subscribe", characteristic_ids: [Number(id)] })));
socket.on("message", async (data) => {
  const message = JSON.parse(data);
  console.log(JSON.stringify(message));
  if (message.type === "violation" && answered === null) {
    answered = message.payload.id;
    await acknowledge(answered);
  }
  if (message.type === "ack_update" && message.payload.violation_id === answered) socket.close();
});
