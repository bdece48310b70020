// Of several answers to the same question, the one that was asked for last is shown, whichever comes last.

export class Newest {
  #asked = 0;
  #shown = 0;

  /** A question is asked now. Gives a function that says, once its answer is there, whether to show it. */
  ask() {
    const number = ++this.#asked;
    return () => {
      if (number <= this.#shown) return false;
      this.#shown = number;
      return true;
    };
  }

  /** What is under way is not wanted any more. */
  forget() {
    this.#shown = this.#asked;
  }
}
