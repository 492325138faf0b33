/**
 * Does one piece of work in each turn of the event loop, in order: so a crowd of strangers that arrives at once waits for
 * each other, and those who play are heard in between. Its length is bounded by whoever adds: each stranger has a place.
 */
export class TurnQueue {
  #tasks: (() => void)[] = [];
  #next = 0;

  add(task: () => void): void {
    if (this.#next === this.#tasks.length) setImmediate(() => this.#turn());
    this.#tasks.push(task);
  }

  #turn(): void {
    const task = this.#tasks[this.#next];
    this.#next += 1;
    if (this.#next === this.#tasks.length) {
      this.#tasks = [];
      this.#next = 0;
    } else {
      setImmediate(() => this.#turn());
    }
    task?.();
  }
}
