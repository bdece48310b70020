// Listens to Andon: connects, subscribes, resumes where it was when the server or the network breaks, and hands out
// each event once. The wire is docs/PROTOCOL.md.
//
// This file decides when to connect and what to say; `progress.js` knows which events are new and what is missing,
// `selections.js` what is wanted, `links.js` how to talk. Times are in milliseconds.

import { Addresses } from "./addresses.js";
import { Backoff } from "./backoff.js";
import { Handlers } from "./handlers.js";
import { openSocket, openStream } from "./links.js";
import { checked } from "./options.js";
import { isHidden, listenToPage } from "./page.js";
import { Probe } from "./probe.js";
import { Progress } from "./progress.js";
import { Questions } from "./questions.js";
import { Receipts } from "./receipts.js";
import { Selections, streamQuery, subscribeText, unsubscribeText } from "./selections.js";
import { watch } from "./silence.js";
import { readSnapshots } from "./snapshots.js";
import { Timers } from "./timers.js";

/** One heartbeat may be late, and one lost in a pause of the network. */
const SILENT_HEARTBEATS = 2.5;

/** HTTP statuses and close codes of who may not listen. */
const NOT_WANTED = [401, 403, 4001, 4003];

const ANOTHER_LOG = 4010;

export class AndonClient {
  #options;
  #addresses;
  #selections = new Selections();
  #handlers = new Handlers();
  #questions = new Questions();
  #progress;
  #backoff;
  /** Of the snapshots' own stream: the connection beside it may be well. */
  #snapshotBackoff;
  #state = "stopped";
  #lag = null;
  #heartbeatMs = 0;
  /** The connection, or the attempt at one: what belongs to another one is of the past. */
  #connection = null;
  #probe;
  #timers = new Timers();
  #unlisten = null;
  #isHidden = false;
  #nextIsStream = false;
  #receipts = new Receipts(() => this.#connection);

  constructor(options) {
    this.#options = checked(options);
    const { server, since, token, minBackoffMs, maxBackoffMs, websocketRetryMs, connectTimeoutMs } = this.#options;
    this.#addresses = new Addresses(server);
    this.#progress = new Progress(since);
    this.#backoff = new Backoff(minBackoffMs, maxBackoffMs);
    this.#snapshotBackoff = new Backoff(minBackoffMs, maxBackoffMs);
    this.#probe = new Probe({
      retryMs: websocketRetryMs,
      timeoutMs: connectTimeoutMs,
      token,
      open: (connection, onOpen) => this.#openSocket(connection, onOpen),
      onWelcome: (connection, welcome) => this.#changeOver(connection, welcome),
    });
  }

  get state() {
    return this.#state;
  }

  get position() {
    return this.#progress.since ?? null;
  }

  get lag() {
    return this.#lag;
  }

  get snapshotsDue() {
    return [...this.#progress.due];
  }

  on(type, handler) {
    return this.#handlers.add(type, handler);
  }

  start() {
    if (this.#connection || this.#timers.has("retry")) return this;
    this.#listenToPage();
    this.#backoff.reset();
    this.#snapshotBackoff.reset();
    this.#connect();
    return this;
  }

  stop() {
    this.#receipts.flush();
    this.#end("stopped");
  }

  subscribe(selection) {
    this.#selections.add(selection);
    this.#sayLater();
  }

  unsubscribe(names) {
    this.#selections.remove(names);
    const { link, isAsked } = this.#connection ?? {};
    if (link?.isStream) this.#sayLater();
    else if (isAsked) link.send(unsubscribeText(names));
  }

  /** What is asked for at the same time is said together: a server takes only so many messages. */
  #sayLater() {
    this.#timers.after("say", 0, () => {
      const { link, isAsked } = this.#connection ?? {};
      if (link?.isStream) this.#reconnect(); // it cannot be asked for something else
      else if (isAsked) this.#selections.takeNews().forEach((request) => this.#ask(request));
    });
  }

  received(seq) {
    const epoch = this.#progress.position?.epoch;
    if (epoch !== undefined) this.#receipts.add(epoch, seq); // else: of which log?
  }

  ping() {
    return this.#question("ping");
  }

  status() {
    return this.#question("status").then(({ payload }) => payload);
  }

  #question(type) {
    const { link, isWelcomed } = this.#connection ?? {};
    if (!isWelcomed || link.isStream) return Promise.reject(new Error("this needs a WebSocket that is connected"));
    return this.#questions.ask(type, this.#options.connectTimeoutMs, (text) => link.send(text));
  }

  async #connect() {
    this.#timers.clear("retry");
    const connection = { link: null, isAsked: false, isWelcomed: false };
    this.#connection = connection;
    this.#timers.after("connect", this.#options.connectTimeoutMs, () => this.#lose({ reason: "no welcome in time" }));
    this.#setState("connecting");
    try {
      connection.token = await (this.#connection === connection ? this.#options.token?.() : null);
    } catch (error) {
      if (this.#connection === connection) this.#lose({ reason: `no token: ${error?.message ?? error}` });
      return;
    }
    if (this.#connection !== connection) return;
    this.#beginCount(connection);
    const { transport, WebSocket } = this.#options;
    const isStream = transport === "events" || (transport === "auto" && (this.#nextIsStream || !WebSocket));
    try {
      connection.link = isStream ? this.#openStream(connection) : this.#openSocket(connection);
    } catch (error) {
      this.#lose({ reason: error?.message ?? String(error) });
    }
  }

  #beginCount(connection) {
    this.#progress.connect();
    connection.stale = [...this.#progress.due]; // snapshots that an earlier connection has not brought
  }

  #openSocket(connection, open = () => this.#greet(connection)) {
    const { WebSocket } = this.#options;
    const on = this.#reactions(connection, (link) => {
      connection.link = link;
      open(link);
    });
    return openSocket({ url: this.#addresses.socket, WebSocket, on });
  }

  #openStream(connection) {
    const requests = this.#everything();
    const since = this.#progress.since;
    const snapshot = !since && requests.some(({ of }) => of.isOwed);
    // A stream has to be about something; nothing that is not there yet comes of an id that will never be.
    const asked = requests.length > 0 ? requests : [{ of: {}, characteristic_ids: [Number.MAX_SAFE_INTEGER] }];
    const url = this.#addresses.stream(streamQuery(asked, { since, snapshot, isHidden: this.#isHidden }));
    const on = this.#reactions(connection, (link) => {
      connection.link = link;
      connection.isAsked = true;
      this.#progress.ask({ wishes: requests.map(({ of }) => of), since, snapshot });
    });
    return openStream({ url, fetch: this.#options.fetch, token: connection.token, on });
  }

  /** What an earlier connection still says is not heard. */
  #reactions(connection, open) {
    const isOver = () => this.#connection !== connection && this.#probe.connection !== connection;
    return {
      open: (link) => isOver() || open(link),
      alive: () => (connection.heardAt = performance.now()),
      message: (message) => isOver() || this.#onMessage(connection, message),
      position: (text) => isOver() || this.#moveTo(text),
      end: (why) => isOver() || this.#onEnd(connection, why),
    };
  }

  #everything() {
    this.#timers.clear("say");
    this.#selections.takeNews();
    return [...this.#selections.requests()];
  }

  /** First words. A server that wants a token says nothing before it has one. */
  #greet(connection) {
    if (connection.token) connection.link.send(JSON.stringify({ type: "auth", token: connection.token }));
    else if (this.#selections.isEmpty) connection.link.send('{"type":"status"}'); // shows whether it may listen
    else this.#askForAll();
  }

  #askForAll() {
    const since = this.#progress.since;
    this.#connection.isAsked = true;
    for (const request of this.#everything()) {
      this.#ask({ ...request, since, snapshot: !since && request.of.isOwed });
    }
  }

  #ask(request) {
    this.#progress.ask({ ...request, wishes: [request.of] });
    this.#connection.link.send(subscribeText(request, this.#isHidden));
    this.#awaitAnswer();
  }

  #awaitAnswer() {
    const { connectTimeoutMs } = this.#options;
    this.#timers.after("answer", Math.max(connectTimeoutMs, this.#silenceMs), () => {
      if (this.#progress.isUnanswered) this.#lose({ reason: "the server does not answer the subscription" });
      else if (!this.#progress.isCaughtUp) this.#awaitAnswer();
    });
  }

  #onMessage(connection, message) {
    if (connection === this.#probe.connection) return this.#probe.hear(message);
    const { type } = message;
    if (typeof message.revision === "number" && type !== "snapshot") return this.#onEvent(connection, message);
    const reaction = {
      __proto__: null,
      welcome: () => this.#onWelcome(connection, message),
      auth_error: () => this.#end("refused", { reason: message.message }),
      subscribed: () => this.#onSubscribed(connection, message),
      resumed: () => this.#onResumed(connection, message),
      unsubscribed: () => this.#progress.leave(message.characteristic_ids, message.groups ?? []),
      snapshot: () => void this.#progress.due.delete(message.characteristic_id),
      heartbeat: () => this.#onHeartbeat(message),
      pong: () => this.#questions.answer("ping", message),
      status: () => this.#questions.answer("status", message),
      error: () => this.#onRefusal(connection, message),
    }[type];
    const isKept = reaction?.() === false;
    if (this.#connection !== connection || isKept) return;
    if (!["welcome", "subscribed", "error"].includes(type)) this.#backoff.reset();
    this.#handlers.emit(type, message);
  }

  #onWelcome(connection, { payload }) {
    Object.assign(connection, { isWelcomed: true, epoch: payload.epoch });
    this.#timers.clear("connect");
    this.#heartbeatMs = payload.heartbeat_seconds * 1_000;
    this.#progress.welcome(payload);
    if (!connection.link.isStream) this.#probe.succeed();
    else if (this.#options.transport === "auto" && this.#options.WebSocket) this.#probe.begin();
    watch(this.#timers, connection, this.#silenceMs, () => this.#lose({ reason: "the server is silent" }));
    this.#setState("catching_up");
    if (this.#connection !== connection) return;
    if (!connection.isAsked) this.#askForAll();
    if (this.#progress.isCaughtUp) this.#settle(connection);
  }

  #onSubscribed(connection, message) {
    const { asked, isLost } = this.#progress.subscribed(message);
    // Should the connection break before these are told so, too, they resume in the new log and get no snapshots.
    if (isLost) this.#progress.pending.forEach((wish) => (wish.isOwed = true));
    if (isLost || (asked?.snapshot && message.recovered !== true)) {
      asked?.wishes.forEach((wish) => (wish.isOwed = false));
    }
    this.#handlers.emit("subscribed", message);
    if (isLost) this.#handOut(connection, this.#progress.turn());
    if (this.#connection === connection && this.#progress.isCaughtUp) this.#settle(connection);
    return false;
  }

  #onResumed(connection, message) {
    this.#handOut(connection, this.#progress.turn());
    if (this.#connection !== connection) return;
    this.#progress.resumed(message.seq);
    if (this.#progress.isCaughtUp) this.#settle(connection);
  }

  /** Nothing is missing any more. What a break has kept from coming, and no resumption brings, is asked for. */
  #settle(connection) {
    this.#timers.clear("answer");
    this.#setState("live");
    if (this.#connection !== connection || connection.hasSettled) return;
    connection.hasSettled = true;
    this.#receipts.send(); // not before: a server takes receipts only of what it has told on this connection
    this.#askForOwed(connection);
  }

  #askForOwed(connection) {
    const owed = [...this.#selections.requests()].filter(({ of }) => of.isOwed);
    const ids = connection.stale.filter((id) => this.#progress.due.has(id));
    connection.stale = [];
    this.#askForSnapshots(connection, owed, ids);
  }

  #askForSnapshots(connection, owed, ids) {
    if (connection.side || this.#timers.has("snapshots")) {
      connection.stale.push(...ids); // for when that stream has ended
      return;
    }
    const { due, unwanted } = this.#selections.requestsFor(ids);
    unwanted.forEach((id) => this.#progress.due.delete(id));
    const others = due.filter(({ of }) => !owed.some((request) => request.of === of));
    const requests = [...owed, ...others].map((request) => ({ ...request, snapshot: true }));
    if (requests.length === 0) return;
    if (connection.link.isStream) this.#readSnapshots(connection, requests, ids);
    else requests.forEach((request) => this.#ask(request));
  }

  #onEvent(connection, event) {
    const progress = this.#progress;
    if (progress.isEarly()) {
      if (!progress.keep(event)) this.#lose({ reason: "the server does not answer the subscription" });
      return;
    }
    this.#handOut(connection, progress.turn(event.seq));
    if (this.#connection !== connection) return;
    const place = progress.take(event);
    if (place === "new") this.#handOut(connection, [event]);
    else if (place !== "old") {
      progress.goBack(place);
      this.#handlers.emit("gap", place);
      if (this.#connection === connection) this.#lose({ reason: "events are missing" });
    }
    if (this.#connection === connection && progress.takeSuspicion()) {
      this.#askForSnapshots(connection, [], [event.characteristic_id]);
    }
  }

  #handOut(connection, events) {
    for (const event of events) {
      this.#backoff.reset();
      this.#handlers.emit(event.type, event);
      this.#handlers.emit("event", event);
      if (this.#connection !== connection) return;
    }
  }

  #onHeartbeat(beat) {
    const { receivedSeq, position, isCaughtUp } = this.#progress;
    // Frames keep their order: whatever was written before this heartbeat had to be here by now.
    if (beat.last_sent_seq > receivedSeq) return this.#lose({ reason: "events did not arrive" });
    const reached = isCaughtUp ? Math.max(beat.seq, position?.seq ?? 0) : (position?.seq ?? 0);
    this.#lag = Math.max(0, beat.head_seq - reached);
  }

  /** The position beside a stream's heartbeat, EPOCH.SEQ. */
  #moveTo(text) {
    const [, epoch, seq] = /^(.*)\.(\d+)$/.exec(text) ?? [];
    if (epoch === this.#progress.position?.epoch) this.#progress.moveTo(Number(seq));
  }

  #onRefusal(connection, { code, message, request }) {
    if (code === "forbidden" && !connection.isWelcomed) return this.#end("refused", { reason: message });
    if (request === "auth") return false; // the server wants no token
    if (request === "ping" || request === "status") this.#questions.refuse(request, message);
    if (request !== "subscribe") return undefined;
    if (code === "rate_limited") return this.#lose({ reason: message });
    const halves = this.#selections.halves(this.#progress.refuse() ?? {});
    halves.forEach((half) => this.#ask(half));
    if (this.#progress.isCaughtUp) this.#settle(connection);
    return halves.length === 0;
  }

  get #silenceMs() {
    return this.#options.silenceMs ?? this.#heartbeatMs * SILENT_HEARTBEATS;
  }

  #onEnd(connection, why) {
    if (connection === this.#probe.connection) return this.#probe.fail();
    if (NOT_WANTED.includes(why.code) || NOT_WANTED.includes(why.status)) return this.#end("refused", why);
    if (why.code === ANOTHER_LOG) {
      this.#progress.forget();
      this.#selections.oweSnapshots();
    }
    this.#lose(why);
  }

  /** Gives this connection up and tries again later. */
  #lose(why) {
    const { transport } = this.#options;
    // Where one way does not get through, the other one may.
    const { link, isWelcomed } = this.#connection ?? {};
    if (transport === "auto" && link && !isWelcomed) this.#nextIsStream = !link.isStream;
    this.#hangUp();
    const wait = this.#backoff.next(why);
    this.#timers.after("retry", wait, () => this.#connect());
    this.#setState("disconnected", { retryAt: new Date(Date.now() + wait), reason: why.reason });
  }

  #reconnect() {
    this.#hangUp();
    this.#connect();
  }

  #end(state, { reason } = {}) {
    this.#hangUp();
    this.#timers.clear("retry", "say");
    this.#unlisten?.();
    this.#unlisten = null;
    this.#setState(state, reason === undefined ? {} : { reason });
  }

  #hangUp() {
    const { link, side } = this.#connection ?? {};
    this.#connection = null;
    this.#lag = null;
    this.#timers.clear("connect", "answer", "silence", "snapshots");
    this.#receipts.rest();
    this.#probe.stop();
    this.#questions.drop();
    side?.close();
    link?.close();
  }

  /** A WebSocket gets through where a stream had to do until now. */
  #changeOver(connection, welcome) {
    this.#hangUp();
    this.#connection = connection;
    this.#nextIsStream = false;
    this.#beginCount(connection);
    this.#onMessage(connection, welcome);
  }

  /** A stream brings snapshots or what was missed, not both: another one brings the snapshots, and ends. */
  #readSnapshots(connection, requests, missing) {
    connection.side = readSnapshots({
      url: this.#addresses.stream(streamQuery(requests, { snapshot: true, isHidden: true })),
      fetch: this.#options.fetch,
      token: connection.token,
      missing,
      patienceMs: this.#options.connectTimeoutMs,
      silenceMs: Math.max(this.#options.connectTimeoutMs, this.#silenceMs),
      onPromised: (ids) => {
        requests.forEach(({ of }) => (of.isOwed = false));
        ids.forEach((id) => this.#progress.due.add(id));
      },
      onSnapshot: (message) => {
        this.#snapshotBackoff.reset();
        this.#progress.cover(message.characteristic_id, message.revision);
        this.#progress.due.delete(message.characteristic_id);
        this.#handlers.emit("snapshot", message);
      },
      onEnd: (how) => this.#onSnapshotsEnd(connection, how),
    });
  }

  /** What that stream did not bring is asked for again; a token that has become too old is asked for anew. */
  #onSnapshotsEnd(connection, { missing, failure }) {
    connection.side = null;
    if (!failure) return this.#askForOwed(connection);
    if (failure.status === 401) return this.#lose(failure);
    connection.stale.push(...missing);
    this.#timers.after("snapshots", this.#snapshotBackoff.next(failure), () => this.#askForOwed(connection));
  }

  #listenToPage() {
    const { alertsOnlyWhileHidden } = this.#options;
    this.#isHidden = Boolean(alertsOnlyWhileHidden) && isHidden();
    this.#unlisten = listenToPage({
      onOnline: () => this.#timers.has("retry") && this.#connect(),
      onVisibility: (isHidden) => alertsOnlyWhileHidden && this.#onVisibility(isHidden),
    });
  }

  #onVisibility(isHidden) {
    if (isHidden === this.#isHidden) return;
    this.#isHidden = isHidden;
    if (!isHidden) this.#selections.oweSnapshots();
    const { link, isAsked } = this.#connection ?? {};
    if (link?.isStream) this.#sayLater();
    else if (isAsked) this.#everything().forEach((request) => this.#ask({ ...request, snapshot: !isHidden }));
  }

  #setState(state, more = {}) {
    if (state === this.#state && state !== "disconnected") return;
    this.#state = state;
    this.#handlers.emit("state", { state, since: new Date(), ...more });
  }
}
