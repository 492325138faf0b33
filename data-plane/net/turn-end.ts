/** Something that has work for the end of this turn of the event loop. */
export interface TurnTask {
  endTurn(): void;
}

/**
 * Runs tasks once everything that has arrived in this turn of the event loop has been handled, each once however often it
 * was added: what many events have to say to one player becomes one write.
 */
export class TurnEnd {
  #tasks = new Set<TurnTask>();

  add(task: TurnTask): void {
    if (this.#tasks.size === 0) setImmediate(() => this.#run());
    this.#tasks.add(task);
  }

  #run(): void {
    const tasks = this.#tasks;
    this.#tasks = new Set();
    for (const task of tasks) task.endTurn();
  }
}
