// What a client wants to hear, as messages to the server. Pure.
//
// Whatever is wanted in the same way (filter, history) goes into one message, so that it resumes as one. What is named
// counts more than its group, and that more than all: messages go from the most to the least particular, since what
// was said of one before is not told again.

/** Event types that come without a filter: all but `episode`. */
const USUAL = [
  "sample", "violation", "ack_update", "control_limits", "sample_update", "violation_update", "characteristic_update",
];

/** The server takes 1,000 groups in a message, and 1 MiB: the longest names have 512 bytes and their quotes. */
const NAMES_PER_MESSAGE = 1_000;

const KINDS = ["characteristic_ids", "characteristic_keys", "groups"];

export class Selections {
  /** By how they are wanted. */
  #wishes = new Map();
  /** Keys that the server did not know: they would take others down with them. */
  #refused = new Set();
  /** What was added and not said yet, by the wish that it belongs to. */
  #news = new Map();

  get isEmpty() {
    return this.#wishes.size === 0;
  }

  /** Adds what is named; of what was named before, this is what holds from now on. */
  add(selection) {
    const { filter, history = false, snapshot = false, all = false } = selection;
    const named = KINDS.map((kind) => [kind, selection[kind] ?? []]);
    if (!all && named.every(([, names]) => names.length === 0)) {
      throw new TypeError("a selection names characteristic_ids, characteristic_keys or groups, or says all");
    }
    this.remove(selection);
    if (all) this.#wishes.forEach((wish) => (wish.all = false));
    const manner = JSON.stringify([filter ?? null, history]);
    let wish = this.#wishes.get(manner);
    if (!wish) {
      wish = { filter, history, all: false, isOwed: false };
      KINDS.forEach((kind) => (wish[kind] = new Set()));
      this.#wishes.set(manner, wish);
    }
    for (const [kind, names] of named) names.forEach((name) => wish[kind].add(name));
    wish.all ||= all;
    wish.isOwed ||= snapshot;
    const news = this.#news.get(wish) ?? { all: false, snapshot: false, names: [] };
    for (const [kind, names] of named) names.forEach((name) => news.names.push([kind, name]));
    this.#news.set(wish, Object.assign(news, { all: news.all || all, snapshot: news.snapshot || snapshot }));
    this.#prune();
  }

  /** Asks for what was added since, as far as it still holds. */
  takeNews() {
    const requests = [...this.#news].flatMap(([wish, { all, snapshot, names }]) => {
      const held = new Map(names.filter(([kind, name]) => wish[kind].has(name)).map((it) => [it.join(), it]));
      const named = parts({ of: wish, snapshot }, [...held.values()]);
      return all && wish.all ? [...named, { of: wish, snapshot, all }] : named;
    });
    this.#news.clear();
    return requests;
  }

  remove(selection) {
    for (const wish of this.#wishes.values()) {
      for (const kind of KINDS) (selection[kind] ?? []).forEach((name) => wish[kind].delete(name));
    }
    (selection.characteristic_keys ?? []).forEach((key) => this.#refused.delete(key));
    this.#prune();
  }

  #prune() {
    for (const [manner, wish] of this.#wishes) {
      if (!wish.all && KINDS.every((kind) => wish[kind].size === 0)) this.#wishes.delete(manner);
    }
  }

  /** Everything's present state is wanted. */
  oweSnapshots() {
    this.#wishes.forEach((wish) => (wish.isOwed = true));
  }

  /** How this characteristic is wanted, as far as that is known: which keys and groups are its own, the server knows. */
  wishFor(id) {
    const wishes = [...this.#wishes.values()];
    const is = (matches) => wishes.find(matches);
    return is((wish) => wish.characteristic_ids.has(id)) ?? is((wish) => wish.characteristic_keys.size > 0)
      ?? is((wish) => wish.groups.size > 0) ?? is((wish) => wish.all);
  }

  /** Asks for these characteristics, each as it is wanted; and those that nobody wants any more. */
  requestsFor(ids) {
    const byWish = new Map();
    const unwanted = [];
    for (const id of ids) {
      const wish = this.wishFor(id);
      if (!wish) unwanted.push(id);
      else byWish.set(wish, [...(byWish.get(wish) ?? []), id]);
    }
    return { due: [...byWish].map(([of, characteristic_ids]) => ({ of, characteristic_ids })), unwanted };
  }

  /** Asks for everything, `{of, all, characteristic_ids...}`, the most particular first. */
  *requests() {
    const wishes = [...this.#wishes.values()];
    const hasGroups = (wish) => Number(wish.groups.size > 0);
    for (const wish of wishes.sort((a, b) => hasGroups(a) - hasGroups(b))) {
      const names = KINDS.flatMap((kind) => [...wish[kind]].map((name) => [kind, name]));
      const isRefused = ([kind, name]) => kind === "characteristic_keys" && this.#refused.has(name);
      yield* parts({ of: wish }, names.filter((name) => !isRefused(name)));
      for (const name of names.filter(isRefused)) yield* parts({ of: wish }, [name]);
    }
    for (const wish of wishes.filter(({ all }) => all)) yield { of: wish, all: true };
  }

  /** What to ask after this was refused: one unknown key must not keep the others out. Empty: it was that. */
  halves(request) {
    const names = KINDS.flatMap((kind) => (request[kind] ?? []).map((name) => [kind, name]));
    if (names.length <= 1) {
      (request.characteristic_keys ?? []).forEach((key) => this.#refused.add(key));
      return [];
    }
    const { of, since, snapshot } = request;
    const middle = Math.floor(names.length / 2);
    return [names.slice(0, middle), names.slice(middle)].flatMap((half) => parts({ of, since, snapshot }, half));
  }
}

/** Requests for these names, each short enough for a message. */
function parts(request, names) {
  const found = [];
  for (let from = 0; from < names.length; from += NAMES_PER_MESSAGE) {
    const part = { ...request };
    for (const [kind, name] of names.slice(from, from + NAMES_PER_MESSAGE)) (part[kind] ??= []).push(name);
    found.push(part);
  }
  return found;
}

function pick(selection) {
  return Object.fromEntries(KINDS.filter((kind) => selection[kind]?.length > 0).map((kind) => [kind, selection[kind]]));
}

/** The text of a `subscribe`. */
export function subscribeText(request, isHidden) {
  const { of, since, snapshot, all } = request;
  const message = { type: "subscribe", ...pick(request) };
  if (all) message.all = true;
  if (since) message.since = since;
  if (snapshot) message.snapshot = true;
  if (of?.history) message.history = true;
  const filter = isHidden ? withoutSamples(of?.filter) : of?.filter;
  if (filter && Object.keys(filter).length > 0) message.filter = filter;
  return JSON.stringify(message);
}

/** The text of an `unsubscribe`. */
export function unsubscribeText(names) {
  return JSON.stringify({ type: "unsubscribe", ...pick(names) });
}

function withoutSamples(filter = {}) {
  const types = (filter.types ?? USUAL).filter((type) => type !== "sample");
  // Who wants samples alone still gets acknowledgements: they pass every filter.
  return { ...filter, types: types.length > 0 ? types : ["ack_update"] };
}

/** A stream has one filter: what lets through everything that any request wants. */
export function streamQuery(requests, { since, snapshot, isHidden }) {
  const query = new URLSearchParams();
  const wishes = requests.map(({ of }) => of);
  if (requests.some(({ all }) => all)) query.set("all", "true");
  else {
    for (const kind of KINDS) {
      const names = requests.flatMap((request) => request[kind] ?? []);
      if (names.length > 0) query.set(kind, names.join(","));
    }
  }
  if (since) query.set("since", `${since.epoch}.${since.seq}`);
  if (snapshot) query.set("snapshot", "true");
  if (wishes.some((wish) => wish.history)) query.set("history", "true");
  const filters = wishes.map((wish) => (isHidden ? withoutSamples(wish.filter) : (wish.filter ?? {})));
  if (filters.some(({ types }) => types)) {
    query.set("types", [...new Set(filters.flatMap(({ types }) => types ?? USUAL))].join(","));
  }
  if (filters.every(({ rule_ids }) => rule_ids)) {
    query.set("rule_ids", [...new Set(filters.flatMap(({ rule_ids }) => rule_ids))].join(","));
  }
  const severities = ["INFO", "WARNING", "CRITICAL"];
  const least = filters.map(({ min_severity }) => severities.indexOf(min_severity));
  if (least.every((rank) => rank >= 0)) query.set("min_severity", severities[Math.min(...least)]);
  if (filters.every(({ sample_max_hz }) => sample_max_hz)) {
    query.set("sample_max_hz", String(Math.max(...filters.map(({ sample_max_hz }) => sample_max_hz))));
  }
  return query;
}
