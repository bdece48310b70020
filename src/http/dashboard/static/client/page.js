// What a browser tells about the page and the network. In other programs, nothing is told.

/** Calls back when the network is there again, and when the page is hidden or shown. Returns what ends that. */
export function listenToPage({ onOnline, onVisibility }) {
  const { document } = globalThis;
  const reactions = [
    [globalThis, "online", onOnline],
    [document, "visibilitychange", () => onVisibility(isHidden())],
  ].filter(([target]) => typeof target?.addEventListener === "function");
  reactions.forEach(([target, type, reaction]) => target.addEventListener(type, reaction));
  return () => reactions.forEach(([target, type, reaction]) => target.removeEventListener(type, reaction));
}

export function isHidden() {
  return globalThis.document?.visibilityState === "hidden";
}
