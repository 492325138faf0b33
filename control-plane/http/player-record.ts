import { waitUntil } from "cloudflare:workers";
import type { Context } from "hono";
import type { PlayerIdentity } from "../../protocol/index.ts";
import { logEvent } from "../log.ts";
import { readStoreSettings } from "../settings.ts";
import { recordPlayer } from "../store/players.ts";
import type { MasterHono } from "./route-parts.ts";

/** Keeps the record behind the answer: nobody waits for the database to play. */
export function notePlayer(context: Context<MasterHono>, player: PlayerIdentity): void {
  const requestId = context.get("requestId");
  const { id, displayName } = player;
  const note = async (): Promise<void> => {
    try {
      await recordPlayer(readStoreSettings(context.env), { id, displayName, nowMs: Date.now() });
    } catch (error) {
      logEvent("warn", "players.not_recorded", { requestId, playerId: id, error });
    }
  };
  waitUntil(note());
}
