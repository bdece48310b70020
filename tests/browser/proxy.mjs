// A bad network between a client and the server: TCP that breaks, stalls or leads nowhere, and WebSocket frames that are
// lost or change places, which no real network does, but a bad middlebox, or a server with a mistake, might.

import net from "node:net";

const HEADER_END = "\r\n\r\n";

export class Proxy {
  /** Whether what the server says is kept from coming through, and what clients say. */
  #stalled = { down: false, up: false };
  #connections = new Set();
  #port;
  #server;
  /** Decides about each text frame from the server: "pass", "drop", or "swap" with the next one. */
  onFrame = () => "pass";
  /** New connections are taken, and nothing ever comes of them. */
  isBlackHole = false;
  /** Answers to upgrades: a proxy that knows no WebSockets. */
  refusesUpgrades = false;
  /** Answers instead of the server, `[status, headers]`. */
  answers = null;
  /** Every request line that came. */
  requests = [];

  static async to(server) {
    const proxy = new Proxy();
    proxy.leadTo(server);
    proxy.#server = net.createServer({ allowHalfOpen: true }, (client) => proxy.#accept(client));
    await new Promise((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  get connections() {
    return this.#connections.size;
  }

  leadTo(server) {
    this.#port = Number(new URL(server).port);
  }

  /** Ends all connections: with FIN, or with RST. */
  cut({ reset = false } = {}) {
    for (const connection of [...this.#connections]) connection.cut(reset);
  }

  /** Keeps one direction (`down`: from the server) of the present connections and of new ones from moving. */
  stall(direction) {
    this.#stalled[direction] = true;
    this.#connections.forEach((connection) => connection.stall(direction));
  }

  resume() {
    this.#stalled = { down: false, up: false };
    this.#connections.forEach((connection) => connection.resume());
  }

  /** Keeps what the server says on the present connections; returns what lets it through, and can `cut` them. */
  delayPresent() {
    const present = [...this.#connections];
    present.forEach((connection) => connection.stall("down"));
    const letThrough = () => present.forEach((connection) => connection.resume());
    return Object.assign(letThrough, { cut: () => present.forEach((connection) => connection.cut(false)) });
  }

  close() {
    this.#server.close();
    this.cut({ reset: true });
  }

  #accept(client) {
    client.on("error", () => {});
    let head = "";
    const onHead = (bytes) => {
      head += bytes.toString("latin1");
      const end = head.indexOf(HEADER_END);
      if (end < 0) return;
      client.off("data", onHead);
      client.pause();
      this.#requested(client, head, end);
    };
    client.on("data", onHead);
  }

  #requested(client, head, end) {
    this.requests.push(head.slice(0, head.indexOf("\r\n")));
    const isUpgrade = /^upgrade: *websocket/im.test(head.slice(0, end));
    const [status, headers] = this.answers ?? (this.refusesUpgrades && isUpgrade ? [400, {}] : []);
    if (status) {
      const lines = Object.entries({ "Content-Length": 0, Connection: "close", ...headers }).map((h) => h.join(": "));
      client.resume().end(`HTTP/1.1 ${status} No\r\n${lines.join("\r\n")}${HEADER_END}`);
      return;
    }
    // Frames are to be read on the way: nothing may be deflated.
    const sent = isUpgrade ? head.replace(/^sec-websocket-extensions:.*\r\n/im, "") : head;
    this.#open(new Connection(this, client, isUpgrade), sent);
  }

  #open(connection, head) {
    this.#connections.add(connection);
    connection.onEnd = () => this.#connections.delete(connection);
    if (this.isBlackHole) connection.client.resume().on("end", () => connection.cut(false));
    else connection.connect(this.#port, head);
    for (const [direction, isStalled] of Object.entries(this.#stalled)) if (isStalled) connection.stall(direction);
  }
}

class Connection {
  #proxy;
  #server = null;
  #frames;
  /** Of bytes whose direction stands still. */
  #kept = { down: [], up: [] };
  #stalled = { down: false, up: false };
  #swapped = null;

  constructor(proxy, client, isUpgrade) {
    Object.assign(this, { client, onEnd: () => {} });
    this.#proxy = proxy;
    this.#frames = isUpgrade ? { rest: Buffer.alloc(0), isOpen: false } : null;
    client.on("close", () => this.cut(false));
  }

  connect(port, head) {
    this.#server = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => this.client.resume());
    this.#server.setNoDelay(true);
    this.#server.write(head, "latin1");
    this.#server.on("error", () => {}).on("close", () => this.#flow("down", null));
    this.#server.on("data", (bytes) => this.#flow("down", bytes)).on("end", () => this.#flow("down", null));
    this.client.on("data", (bytes) => this.#flow("up", bytes)).on("end", () => this.#flow("up", null));
  }

  /** Moves bytes, or the end, unless that direction stands still. */
  #flow(direction, bytes) {
    if (this.#stalled[direction]) this.#kept[direction].push(bytes);
    else this.#write(direction, bytes);
  }

  #write(direction, bytes) {
    const to = direction === "down" ? this.client : this.#server;
    if (to.destroyed || to.writableEnded) return;
    if (bytes === null) to.end();
    else if (direction === "down" && this.#frames) this.#passFrames(bytes);
    else to.write(bytes);
  }

  #passFrames(bytes) {
    const frames = this.#frames;
    frames.rest = Buffer.concat([frames.rest, bytes]);
    if (!frames.isOpen) {
      const end = frames.rest.indexOf(HEADER_END);
      if (end < 0) return;
      this.client.write(frames.rest.subarray(0, end + 4));
      Object.assign(frames, { isOpen: true, rest: frames.rest.subarray(end + 4) });
    }
    for (let frame = nextFrame(frames.rest); frame; frame = nextFrame(frames.rest)) {
      frames.rest = frames.rest.subarray(frame.bytes.length);
      this.#passFrame(frame);
    }
  }

  #passFrame({ bytes, opcode, payload }) {
    const verdict = opcode === 1 ? this.#proxy.onFrame(JSON.parse(payload.toString())) : "pass";
    const [isDropped, isKept] = [verdict === "drop", verdict === "swap" && !this.#swapped];
    if (!isDropped && !isKept) [bytes, this.#swapped ?? []].forEach((each) => this.client.write(Buffer.from(each)));
    if (!isDropped) this.#swapped = isKept ? bytes : null;
  }

  stall(direction) {
    this.#stalled[direction] = true;
  }

  resume() {
    for (const direction of ["up", "down"]) {
      this.#stalled[direction] = false;
      this.#kept[direction].splice(0).forEach((bytes) => this.#write(direction, bytes));
    }
  }

  cut(reset) {
    this.onEnd();
    for (const socket of [this.client, this.#server]) reset ? socket?.resetAndDestroy() : socket?.destroy();
  }
}

/** A frame of a server: final and not masked. */
function nextFrame(buffer) {
  if (buffer.length < 2) return null;
  const short = buffer[1] & 0x7f;
  const start = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (buffer.length < start) return null;
  const length = short === 127 ? Number(buffer.readBigUInt64BE(2)) : short === 126 ? buffer.readUInt16BE(2) : short;
  const bytes = buffer.subarray(0, start + length);
  return bytes.length < start + length ? null : { bytes, opcode: buffer[0] & 0x0f, payload: bytes.subarray(start) };
}
