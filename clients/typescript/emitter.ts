type Handler<E> = (event: E) => void;

/** Typed events. A handler that throws harms neither the others nor the sender: its error surfaces as an uncaught one. */
export class Emitter<Events extends object> {
  readonly #handlers: { [Name in keyof Events]?: Set<Handler<Events[Name]>> } = {};

  /** Adds a handler; the returned function takes it away again. */
  on<Name extends keyof Events>(name: Name, handler: Handler<Events[Name]>): () => void {
    const handlers = (this.#handlers[name] ??= new Set());
    // A wrapper of its own, so that a function registered twice is two handlers.
    const own: Handler<Events[Name]> = (event) => handler(event);
    handlers.add(own);
    return () => void handlers.delete(own);
  }

  /** Calls the handlers that are there now, in the order in which they came. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const handlers = this.#handlers[name];
    if (handlers === undefined) return;
    // A copy: a handler may add or take away others.
    for (const handler of Array.from(handlers)) callSafely(() => handler(event));
  }
}

/** Runs a game's code; what it throws surfaces outside the caller's stack. */
export function callSafely(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
