/** Something that has work for the end of this turn of the event loop. */
export interface TurnTask {
  /** Called once for each {@link TurnEnd.add}. */
  endTurn(): void;
}

/**
 * Runs tasks once everything that has arrived in this turn of the event loop has been handled: what many events have to say
 * to one player becomes one write. A task that need not run twice adds itself once.
 */
export class TurnEnd {
  #tasks: TurnTask[] = [];

  add(task: TurnTask): void {
    if (this.#tasks.length === 0) setImmediate(this.#run);
    this.#tasks.push(task);
  }

  readonly #run = (): void => {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) task.endTurn();
  };
}
