import { createHash } from "node:crypto";

/** What two clusters call a player when they speak of its entity: 16 hexadecimal digits, the same everywhere. [GHOST-4] */
export function ghostIdentity(playerId: string): string {
  return createHash("sha256").update("sustenet ghost ").update(playerId).digest("hex").slice(0, 16);
}
