// What is chosen on the page stands in its address, so that it can be sent to somebody, and survives a reload.

/** What the address says under this name, or else the fallback. */
export const placed = (name, fallback = "") => new URLSearchParams(location.search).get(name) ?? fallback;

/** What the address says, if it is a whole number from `least` on; else the fallback. */
export function placedNumber(name, { least = 0, fallback = null } = {}) {
  const text = placed(name);
  const value = Number(text);
  return text !== "" && Number.isSafeInteger(value) && value >= least ? value : fallback;
}

/** Says something in the address; null, "" and 0 take it out. */
export function place(name, value) {
  const url = new URL(location.href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  if (url.href !== location.href) history.replaceState(history.state, "", url);
}
