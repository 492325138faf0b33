import { createHash } from "node:crypto";
import type { JoinedPlayer } from "../session/joined-player.ts";

/** Keys at a time; past it the oldest goes. */
const maxKeys = 16_384;
/** How many of the newest stay also where their player has gone: its client is told why when it comes. */
const keptKeys = 64;

/** By what the clients of players that came from elsewhere show who they are: until they have been heard here. [HAND-14] */
export class ArrivalKeys {
  readonly #players = new Map<string, JoinedPlayer>();
  readonly #hashes = new WeakMap<JoinedPlayer, string>();

  add(key: string, player: JoinedPlayer): void {
    const hashed = hash(key);
    this.#players.set(hashed, player);
    this.#hashes.set(player, hashed);
    for (const [oldest, { connected }] of this.#players) {
      if (this.#players.size <= (connected ? maxKeys : keptKeys)) break;
      this.#players.delete(oldest);
    }
  }

  /** Whose key it is; found by its hash, so that how long it takes says nothing. */
  find(key: string): JoinedPlayer | undefined {
    return this.#players.get(hash(key));
  }

  /** The client has been heard over its new connection. */
  spend(player: JoinedPlayer): void {
    this.#players.delete(this.#hashes.get(player) ?? "");
  }
}

function hash(key: string): string {
  return createHash("sha256").update(key).digest("base64url");
}
