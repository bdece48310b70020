// One connection, over a WebSocket or a stream of server-sent events. It says what comes, once that it has ended, and
// nothing any more after it was closed: late bytes of an old connection reach nobody.
//
// `on` has `open()`, `message(object)`, `position(text)`, `retry(ms)`, `alive()` and `end(why)`, where `why` is
// `{code?, status?, reason, retryAfterMs?}`.

/** More than this is no message of Andon's, whose longest are the snapshots. */
const MAX_LINE_CHARS = 16 << 20;

export function openSocket({ url, WebSocket, on }) {
  let isOver = false;
  let failure = "";
  const socket = new WebSocket(url);
  const end = (why) => {
    if (isOver) return;
    isOver = true;
    on.end(why);
  };
  const link = {
    isStream: false,
    /** Whether the socket took it. */
    send(text) {
      const isOpen = !isOver && socket.readyState === 1;
      if (isOpen) socket.send(text);
      return isOpen;
    },
    close() {
      isOver = true;
      hangUp(socket);
    },
  };
  socket.onopen = () => isOver || on.open(link);
  socket.onmessage = ({ data }) => {
    if (isOver) return;
    on.alive();
    const message = parsed(data);
    if (message) on.message(message);
    else {
      hangUp(socket);
      end({ reason: "the server sent something that is not a message" });
    }
  };
  // Browsers do not say why a handshake fails; `ws` names the status.
  socket.onerror = (event) => (failure = event?.message || "the connection failed");
  socket.onclose = ({ code, reason }) => {
    const status = Number(/server response: (\d{3})/.exec(failure)?.[1]) || undefined;
    end({ code, status, reason: String(reason ?? "") || failure || `closed (${code})`, retryAfterMs: told(reason) });
  };
  return link;
}

/** Says goodbye; where that can be, without waiting for the answer, which would keep a program from ending. */
function hangUp(socket) {
  try {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    const isOpen = socket.readyState === 1;
    socket.close(...(isOpen ? [1000, "goodbye"] : []));
    socket.terminate?.();
  } catch {
    // There is nobody to say it to.
  }
}

function told(reason) {
  const ms = parsed(reason)?.retry_after_ms;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

export function openStream({ url, fetch, token, on }) {
  const abort = new AbortController();
  let isOver = false;
  const end = (why) => {
    if (isOver) return;
    isOver = true;
    abort.abort();
    on.end(why);
  };
  const link = {
    isStream: true,
    send: () => false,
    close() {
      isOver = true;
      abort.abort();
    },
  };
  read().then(
    (why) => end(why),
    (error) => end({ reason: error?.cause?.message ?? error?.message ?? String(error) }),
  );
  return link;

  async function read() {
    const headers = { Accept: "text/event-stream", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(url, { headers, cache: "no-store", signal: abort.signal });
    if (isOver) return {};
    const type = response.headers.get("content-type") ?? "";
    if (response.status !== 200 || !type.startsWith("text/event-stream")) return refusal(response);
    on.open(link);
    const reader = response.body.getReader();
    const [decoder, lines] = [new TextDecoder(), new Lines(on)];
    for (;;) {
      const { done, value } = await reader.read();
      if (isOver) return {};
      if (done) return { reason: "the stream ended", retryAfterMs: lines.farewellMs };
      on.alive();
      const isGood = lines.push(decoder.decode(value, { stream: true }), () => isOver);
      if (!isGood) return { reason: "the server sent something that is not a message" };
    }
  }
}

async function refusal(response) {
  const said = parsed(await response.text().catch(() => ""))?.detail;
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  const retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
  const status = response.status;
  return { status, reason: said ?? `the server answered ${status}`, retryAfterMs };
}

/** Takes a stream of server-sent events apart (HTML Living Standard, 9.2.6). */
class Lines {
  /** How long to stay away, if the server said so after its first words: it stops. */
  farewellMs;
  #on;
  #rest = "";
  #data = [];
  #id;
  #hasRetry = false;
  #isAfterReturn = false;

  constructor(on) {
    this.#on = on;
  }

  /** False if it is not what Andon sends. */
  push(text, isOver) {
    if (this.#isAfterReturn && text.startsWith("\n")) text = text.slice(1);
    if (text) this.#isAfterReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (isOver()) return true;
      if (!this.#take(line)) return false;
    }
    return this.#rest.length <= MAX_LINE_CHARS;
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(line);
    if (name === "") {
      // Heartbeats are comments.
      const beat = parsed(value);
      if (beat?.type === "heartbeat") this.#on.message(beat);
    } else if (name === "data") this.#data.push(value);
    else if (name === "id") this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) {
      if (this.#hasRetry) this.farewellMs = Number(value);
      this.#hasRetry = true;
    }
    return true;
  }

  #dispatch() {
    const [text, id] = [this.#data.join("\n"), this.#id];
    const isMessage = this.#data.length > 0;
    [this.#data, this.#id] = [[], undefined];
    if (isMessage) {
      const message = parsed(text);
      if (!message) return false;
      this.#on.message(message);
    } else if (id !== undefined) this.#on.position(id);
    return true;
  }
}
