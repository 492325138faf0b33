import type { GameMessage } from "./session-events.ts";

/** Bounds what a game that listens to nothing makes us keep. */
const maxMessages = 1_024;
const maxBytes = 1024 * 1024;

/**
 * Keeps messages, in order, until somebody listens: a cluster may speak right after WELCOME, before `await client.join()` has
 * handed the session over. When more comes than is kept, nobody listens: all of it is dropped, and so is what follows until
 * somebody does.
 */
export class HeldMessages {
  readonly #deliver: (message: GameMessage) => void;
  #state: "holding" | "releasing" | "released" | "dropping" = "holding";
  #messages: GameMessage[] = [];
  #bytes = 0;

  constructor(deliver: (message: GameMessage) => void) {
    this.#deliver = deliver;
  }

  push(message: GameMessage): void {
    if (this.#state === "released") return this.#deliver(message);
    if (this.#state === "dropping") return;
    this.#messages.push(message);
    this.#bytes += message.payload.length;
    if (this.#messages.length <= maxMessages && this.#bytes <= maxBytes) return;
    this.#messages = [];
    this.#state = "dropping";
  }

  /** Somebody listens: what was kept follows as soon as the caller has returned, and then everything as it comes. */
  release(): void {
    if (this.#state === "dropping") this.#state = "released";
    if (this.#state !== "holding") return;
    this.#state = "releasing";
    queueMicrotask(() => {
      this.#state = "released";
      for (const message of this.#messages.splice(0)) this.#deliver(message);
    });
  }
}
