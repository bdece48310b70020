// Keeps a section as the server says: asks again and again while somebody can see it, never twice at once, and says
// where it may not ask or gets no answer.

import { Problem } from "../shared/api.js";
import { el, say } from "../shared/dom.js";
import { time } from "../shared/format.js";

/** What takes longer than this is given up; the server's own longest wait for its database is 5 s. */
const GIVE_UP_MS = 10_000;
/** A refusal for want of a role changes when somebody changes the settings: no need to insist. */
const FORBIDDEN_MS = 60_000;

export class Refresh {
  #section;
  #everyMs;
  #ask;
  #show;
  #note;
  #timer = null;
  #underWay = null;
  #isAskedAgain = false;
  #lastAt = null;

  /**
   * @param {{ section: HTMLElement, everyMs: number, ask: (signal: AbortSignal) => Promise<any>,
   *   show: (answer: any) => void, failed?: (error: Error) => void }} options `failed` hears what the section says anyway
   */
  constructor({ section, everyMs, ask, show, failed = () => {} }) {
    this.#section = section;
    this.#everyMs = everyMs;
    this.#ask = ask;
    this.#show = show;
    this.failed = failed;
    this.#note = el("p", { class: "note", role: "status", hidden: true });
    section.querySelector("h2, h3").after(this.#note);
    document.addEventListener("visibilitychange", this.#see);
  }

  /** When the newest answer came, or null. */
  get lastAt() {
    return this.#lastAt;
  }

  /** Asks at once; what is being asked just now is asked once more afterwards. */
  soon() {
    if (this.#underWay) this.#isAskedAgain = true;
    else this.#run();
  }

  /** What is asked is another question now: the answer to the former is not wanted any more. */
  changed() {
    this.#underWay?.abort();
    this.soon();
  }

  /** Asks no more. */
  stop() {
    this.isStopped = true;
    clearTimeout(this.#timer);
    this.#underWay?.abort();
    document.removeEventListener("visibilitychange", this.#see);
  }

  #see = () => {
    if (document.visibilityState === "visible") this.soon();
    else clearTimeout(this.#timer);
  };

  async #run() {
    clearTimeout(this.#timer);
    if (this.isStopped || document.visibilityState !== "visible") return; // it is asked when somebody looks
    const asking = new AbortController();
    this.#underWay = asking;
    let isLate = false;
    const end = setTimeout(() => {
      isLate = true;
      asking.abort();
    }, GIVE_UP_MS);
    let pause = this.#everyMs;
    try {
      const answer = await this.#ask(asking.signal);
      if (!asking.signal.aborted) this.#answered(answer);
    } catch (error) {
      if (isLate) this.#fail(new Problem(0, { title: "The server takes too long to answer." }));
      else if (!asking.signal.aborted) {
        this.#fail(error);
        if (error.status === 403) pause = FORBIDDEN_MS;
      }
    } finally {
      clearTimeout(end);
      this.#underWay = null;
    }
    if (this.#isAskedAgain) {
      this.#isAskedAgain = false;
      this.#run();
    } else if (!this.isStopped && document.visibilityState === "visible") {
      this.#timer = setTimeout(() => this.#run(), pause);
    }
  }

  #answered(answer) {
    this.#lastAt = new Date();
    this.#show(answer);
    this.#note.hidden = true;
    this.#section.dataset.fresh = "yes";
  }

  #fail(error) {
    if (!(error instanceof Problem)) console.error(error);
    const since = this.#lastAt ? ` What is shown is as of ${time(this.#lastAt)}.` : "";
    say(this.#note, error.status === 403 ? `You may not see this: ${error.message}.` : `${sentence(error.message)}${since}`);
    this.#note.hidden = false;
    this.#section.dataset.fresh = error.status === 403 ? "forbidden" : "no";
    this.failed(error);
  }
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
