import type { LinkReport, LinkRevoke } from "../../protocol/index.ts";

/**
 * How far this process holds what the master has revoked, for the master to compare with each report. Nothing is said before
 * the master has spoken of it: an older one would not understand.
 */
export class HeldVersions {
  #revocations: number | undefined;
  #keys: number | undefined;

  /** A new registration: another shard may answer, and it counts by itself. What is revoked stays revoked. */
  reset(): void {
    this.#revocations = undefined;
    this.#keys = undefined;
  }

  /** A command has been carried out. One that follows on something that never came does not count: it will come again. */
  noteRevocations({ since, version }: Pick<LinkRevoke, "since" | "version">): void {
    const held = this.#revocations ?? 0;
    this.#revocations = since <= held ? Math.max(held, version) : held;
  }

  noteKeys(version: number): void {
    this.#keys = Math.max(this.#keys ?? 0, version);
  }

  /** What goes into a report. */
  told(): Pick<LinkReport, "revocations" | "keys"> {
    return {
      ...(this.#revocations === undefined ? {} : { revocations: this.#revocations }),
      ...(this.#keys === undefined ? {} : { keys: this.#keys }),
    };
  }
}
