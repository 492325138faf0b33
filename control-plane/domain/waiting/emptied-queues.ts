import { gateMs } from "./waiting-gate.ts";

/** Most queues of which it is remembered. Stops a crowd of selectors from filling the memory. */
export const maxEmptied = 1_024;

/**
 * When queues at which nobody waits any more said so. What one said before may come after it, and would keep seats for nobody; it counts for
 * {@link gateMs} from when it was said, so no longer is this remembered. Only in memory: what is on its way to an object that stops is lost with it.
 */
export class EmptiedQueues {
  /** The one that was noted last is last. */
  readonly #saidAtMs = new Map<string, number>();

  note(queue: string, saidAtMs: number, nowMs: number): void {
    this.#saidAtMs.delete(queue);
    for (const [other, otherSaidAtMs] of this.#saidAtMs) {
      if (this.#saidAtMs.size < maxEmptied && otherSaidAtMs + gateMs > nowMs) break;
      this.#saidAtMs.delete(other);
    }
    this.#saidAtMs.set(queue, saidAtMs);
  }

  /** Whether the queue has said after `saidAtMs` that nobody waits. */
  hasSaidSo(queue: string, saidAtMs: number): boolean {
    return (this.#saidAtMs.get(queue) ?? 0) > saidAtMs;
  }
}
