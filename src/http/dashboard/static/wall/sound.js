// A sound when a process begins to need somebody. Silent until somebody turns it on; remembers that.
//
// A browser plays nothing before the page was touched once: until then the button says so.

import { el, say } from "../shared/dom.js";

const SOUND = "andon.sound";
/** Two tones, as of a chime: Hz and the second in which each begins. */
const TONES = [[880, 0], [660, 0.22]];
/** Many alarms at once are one chime. */
const PAUSE_MS = 1_500;

/** The button, and the sound behind it. */
export class Chime {
  #context = null;
  #isOn = localStorage.getItem(SOUND) === "on";
  #playedAt = -Infinity;

  constructor() {
    this.button = el("button", { type: "button", id: "sound", onclick: () => this.#toggle() });
    if (this.#isOn) document.addEventListener("pointerdown", () => this.#wake(), { once: true });
    this.#tell();
  }

  /** Plays, if it is wanted and the browser lets it. */
  play() {
    if (!this.#isOn || performance.now() - this.#playedAt < PAUSE_MS) return;
    this.#wake();
    if (this.#context.state !== "running") return this.#tell();
    this.#playedAt = performance.now();
    const now = this.#context.currentTime;
    for (const [frequency, begin] of TONES) {
      const [tone, volume] = [this.#context.createOscillator(), this.#context.createGain()];
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0.25, now + begin);
      volume.gain.exponentialRampToValueAtTime(0.001, now + begin + 0.5);
      tone.connect(volume).connect(this.#context.destination);
      tone.start(now + begin);
      tone.stop(now + begin + 0.5);
    }
  }

  #toggle() {
    this.#isOn = !this.#isOn;
    localStorage.setItem(SOUND, this.#isOn ? "on" : "off");
    if (this.#isOn) {
      this.#wake();
      this.#context.resume().then(() => this.play()); // so that one knows how it sounds
    }
    this.#tell();
  }

  #wake() {
    this.#context ??= new AudioContext();
    this.#context.resume().then(() => this.#tell(), () => {});
  }

  #tell() {
    const isHeld = this.#isOn && this.#context?.state !== "running";
    this.button.setAttribute("aria-pressed", String(this.#isOn));
    say(this.button, !this.#isOn ? "Sound off" : isHeld ? "Sound on (click once)" : "Sound on");
  }
}
