import { waitUntil } from "cloudflare:workers";
import type { Context } from "hono";
import type { PlayerIdentity } from "../../protocol/index.ts";
import { logEvent } from "../log.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { recordKeeper } from "../objects/remote.ts";
import type { MasterHono } from "./route-parts.ts";

const attempts = 2;

/** Keeps the record behind the answer: nobody waits for it to play. */
export function notePlayer(context: Context<MasterHono>, player: PlayerIdentity): void {
  const requestId = context.get("requestId");
  const { id: playerId, displayName } = player;
  const record = { kind: "player" as const, playerId, displayName, atMs: Date.now() };
  const note = async (): Promise<void> => {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      try {
        const kept = recordKeeper(context.env, playerId).keep([record]);
        return await withDeadline(kept, objectCallTimeoutMs, "a record keeper");
      } catch (error) {
        logEvent("warn", "players.not_recorded", { requestId, playerId, attempt, error });
      }
    }
  };
  waitUntil(note());
}
