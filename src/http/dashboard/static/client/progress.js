// How far a client has come: where to resume, and which events are new. Pure: no socket, no clock.
//
// Two counts for each characteristic, because they answer two questions. `handed` is the newest revision that was
// handed out, over all connections: what is not beyond it was there before. `previous` is the newest revision of this
// connection: `revision = previous + 1 + skipped` shows whether anything is missing. Alerts may overtake samples of
// other characteristics, so the position alone (the highest one that came) decides neither.

/** So many events may come before the answer to a resumption; the server is expected to say none. */
const MAX_EARLY = 10_000;

/** Characteristics remembered of which only acknowledgements come. */
const MAX_STRANGERS = 20_000;

export class Progress {
  position;
  #counts = new Map();
  #strangers = 0;
  /** The newest position of a stranger that was forgotten. */
  #forgottenSeq = 0;
  /** Subscriptions that are not answered yet, oldest first. */
  #asked = [];
  /** Resumptions that are not through yet. */
  #resuming = 0;
  /** Of several resumptions, the later ones still bring what the position would pass over. */
  #held = false;
  #heldSeq = 0;
  /** Events that came before the answer to the resumption, by position. */
  #early = [];
  #isAnswered = false;
  #all = false;
  #groups = new Set();
  /** The highest position on this connection, handed out or not. */
  receivedSeq = 0;
  /** Characteristics whose snapshots were promised and have not come. */
  due = new Set();
  #lastGap = null;
  #isSuspect = false;

  constructor(since) {
    this.position = since ? { epoch: String(since.epoch), seq: since.seq } : null;
  }

  /** Where to resume from. */
  get since() {
    return this.position ? { ...this.position } : undefined;
  }

  /** A new connection: what the last one had not handed out comes again. */
  connect() {
    this.#asked = [];
    this.#resuming = 0;
    this.#held = false;
    this.#heldSeq = 0;
    this.#early = [];
    this.#isAnswered = false;
    this.#all = false;
    this.#groups.clear();
    this.receivedSeq = 0;
    for (const count of this.#counts.values()) count.previous = null;
  }

  /** The log is another one: nothing of before counts. */
  forget() {
    this.position = null;
    this.#counts.clear();
    this.#strangers = this.#forgottenSeq = 0;
    this.due.clear();
    this.#lastGap = null;
  }

  /** What the subscriptions that are not answered yet are of. */
  get pending() {
    return this.#asked.flatMap(({ wishes }) => wishes);
  }

  get isCaughtUp() {
    return this.#asked.length === 0 && this.#resuming === 0;
  }

  /** Whether the server owes an answer and is not busy telling what was missed. */
  get isUnanswered() {
    return this.#asked.length > 0 && this.#resuming === 0;
  }

  ask(subscription) {
    this.#asked.push(subscription);
    if (this.#asked.length + this.#resuming > 1 && subscription.since) this.#held = true;
  }

  welcome({ epoch, seq }) {
    this.position ??= { epoch, seq };
  }

  /** The refused subscription. */
  refuse() {
    const refused = this.#asked.shift();
    this.#release();
    return refused;
  }

  /** Moves the position of a client that wants nothing of what happens. */
  moveTo(seq) {
    if (this.isCaughtUp) this.#advance(seq);
  }

  /** Takes the answer to a subscription; says whether the past could not be told. */
  subscribed(message) {
    const { recovered, epoch, seq } = message;
    // A loss may be told at any time, also while another request is not answered.
    const isAnswer = recovered !== false || this.#asked[0]?.since !== undefined;
    const asked = isAnswer ? this.#asked.shift() : undefined;
    const isLost = recovered === false || (asked?.since !== undefined && recovered !== true);
    this.#isAnswered = true;
    if (this.position?.epoch !== epoch) this.forget();
    if (isLost || !this.position) {
      this.position = { epoch, seq };
      this.#heldSeq = 0;
    } else if (recovered === true) this.#resuming += 1;
    else this.#advance(seq);
    if (isLost) this.#held = this.#asked.some(({ since }) => since !== undefined);
    this.#count(message, isLost);
    if (isLost || (asked?.snapshot && recovered !== true)) {
      message.characteristic_ids.forEach((id) => this.due.add(id));
    }
    this.#release();
    return { asked, isLost };
  }

  #count({ characteristic_ids, groups = [], all = false, revisions, seq }, isLost) {
    this.#all ||= all;
    groups.forEach((group) => this.#groups.add(group));
    const isNamed = !all && groups.length === 0;
    for (const id of characteristic_ids) {
      const told = revisions[id] ?? 0;
      const count = this.#counts.get(id);
      if (count && !count.isCounted) this.#strangers -= 1;
      const handed = isLost ? told : Math.max(told, count?.handed ?? 0);
      const named = isNamed || (count?.isNamed ?? false);
      this.#counts.set(id, { handed, previous: told, seq, ahead: 0, isNamed: named, isCounted: true });
    }
  }

  /** The missed events have been told. */
  resumed(seq) {
    this.#resuming = Math.max(0, this.#resuming - 1);
    this.#advance(seq);
    this.#release();
  }

  #release() {
    if (!this.#held || this.#resuming > 0 || this.#asked.some(({ since }) => since !== undefined)) return;
    this.#held = false;
    this.#advance(this.#heldSeq);
  }

  #advance(seq) {
    if (this.#held) this.#heldSeq = Math.max(this.#heldSeq, seq);
    else if (this.position) this.position.seq = Math.max(this.position.seq, seq);
  }

  /** No more events of these are expected; what was handed out stays known. */
  leave(ids, groups) {
    for (const group of groups) this.#groups.delete(group);
    for (const id of ids) this.due.delete(id);
    if (this.#all) return;
    const left = new Set(ids);
    for (const [id, count] of this.#counts) {
      if (left.has(id) || (groups.length > 0 && !count.isNamed)) count.previous = null;
    }
  }

  /**
   * Whether an event has to wait for the answer to the resumption: acknowledgements go to everybody, and may be told as
   * they happen before that. They would move the position over what is missing, and stand before what is older.
   */
  isEarly() {
    return !this.#isAnswered && this.#asked[0]?.since !== undefined;
  }

  /** Keeps an early event; false if there are too many. */
  keep(event) {
    this.receivedSeq = Math.max(this.receivedSeq, event.seq);
    // A server that lags behind the one of before may tell what that one has told.
    const isOld = event.revision <= (this.#counts.get(event.characteristic_id)?.handed ?? 0);
    if (!isOld) this.#early.push(event);
    return this.#early.length <= MAX_EARLY;
  }

  /** Early events whose turn has come: before that position. */
  *turn(seq = Infinity) {
    while (this.#early.length > 0 && this.#early[0].seq <= seq) {
      const event = this.#early.shift();
      const count = this.#counts.get(event.characteristic_id);
      // Where the server comes to it, it counts it as skipped, since it does not tell it again.
      if (count) Object.assign(count, { handed: Math.max(count.handed, event.revision), ahead: count.ahead + 1 });
      else this.#meet(event);
      this.#advance(event.seq);
      yield event;
    }
  }

  /** What an event is: "new", "old" (it was there before), or a gap. A gap changes nothing. */
  take(event) {
    const { characteristic_id: id, revision, seq, skipped = 0 } = event;
    this.receivedSeq = Math.max(this.receivedSeq, seq);
    const count = this.#counts.get(id) ?? (this.#all ? this.#begin(id) : null);
    if (!count) return this.#meet(event);
    if (count.previous !== null) {
      if (revision <= count.previous) return "old";
      const expected = count.previous + 1 + skipped;
      const missing = revision - expected;
      if ((missing < 0 || missing > count.ahead) && !this.#isForgiven(id, count)) {
        return { characteristic_id: id, expected, received: revision, seq };
      }
      Object.assign(count, { previous: revision, ahead: 0 });
    } else {
      this.#joinGroup(event, count);
    }
    this.#advance(seq);
    const isCovered = event.type === "sample" && revision <= (count.coveredTo ?? 0);
    const isOld = isCovered || revision <= count.handed;
    count.handed = Math.max(count.handed, revision);
    count.seq = Math.max(count.seq, seq);
    this.#notice(event, count);
    return isOld ? "old" : "new";
  }

  /** Who listens to all counts a new characteristic from its beginning. */
  #begin(id) {
    const count = { handed: 0, previous: 0, seq: this.position?.seq ?? 0, ahead: 0, isNamed: false, isCounted: true };
    this.#counts.set(id, count);
    return count;
  }

  /** An event of one that is not subscribed to by name: an acknowledgement, or of a newcomer to a group. */
  #meet(event) {
    const { characteristic_id: id, revision, seq } = event;
    const isOld = seq <= this.#forgottenSeq;
    const count = { handed: revision, previous: null, seq, ahead: 0, isNamed: false, isCounted: false };
    this.#counts.set(id, count);
    this.#strangers += 1;
    this.#joinGroup(event, count);
    if (this.#strangers > MAX_STRANGERS) this.#forgetStrangers();
    this.#advance(seq);
    return isOld ? "old" : "new";
  }

  /** Acknowledgements come of every characteristic: they do not show that it is in a group of ours. */
  #joinGroup({ type, revision }, count) {
    if (this.#groups.size === 0 || type === "ack_update") return;
    count.previous = revision;
    if (!count.isCounted) this.#strangers -= 1;
    count.isCounted = true;
  }

  #forgetStrangers() {
    for (const [id, count] of this.#counts) {
      if (count.isCounted) continue;
      this.#forgottenSeq = Math.max(this.#forgottenSeq, count.seq);
      this.#counts.delete(id);
      this.#strangers -= 1;
      if (this.#strangers <= MAX_STRANGERS / 2) return;
    }
  }

  #notice({ type, characteristic_id: id, payload }, count) {
    if (type !== "characteristic_update") return;
    if (payload?.changes?.deleted) this.due.delete(id);
    // One that has another group now may be in none of ours; if it is, its next event shows it.
    if (payload?.changes && "group" in payload.changes && !this.#all && !count.isNamed) count.previous = null;
  }

  /** A gap was found: goes back to where its characteristic was complete. The same one again is let pass. */
  goBack(gap) {
    const count = this.#counts.get(gap.characteristic_id);
    if (this.position) this.position.seq = Math.min(this.position.seq, count.seq);
    this.#lastGap = { id: gap.characteristic_id, after: count.previous };
  }

  #isForgiven(id, count) {
    const isAgain = this.#lastGap?.id === id && this.#lastGap.after === count.previous;
    if (isAgain) {
      this.#lastGap = null;
      this.#isSuspect = true;
      this.due.add(id);
    }
    return isAgain;
  }

  /** Whether a gap was just let pass that resuming has not filled: a snapshot has to show what was missed. */
  takeSuspicion() {
    const isSuspect = this.#isSuspect;
    this.#isSuspect = false;
    return isSuspect;
  }

  /** A snapshot came beside the connection: what it covers and is no alert is of no use any more. */
  cover(id, revision) {
    const count = this.#counts.get(id);
    if (count) count.coveredTo = Math.max(count.coveredTo ?? 0, revision);
  }
}
