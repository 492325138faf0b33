import { encodeWelcome } from "../../protocol/index.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { SessionContext } from "./session-context.ts";

/** WELCOME, as it stands now. [WELCOME-1] */
export function encodeWelcomeOf({ clock, settings, tick }: SessionContext, player: JoinedPlayer): Uint8Array {
  return encodeWelcome({
    version: player.version,
    features: player.features,
    playerNumber: player.number,
    timeMs: clock.monotonicMs(),
    tick: tick() >>> 0,
    tickHz: settings.tickHz,
    pingIntervalMs: settings.pingIntervalMs,
    idleTimeoutMs: settings.idleTimeoutMs,
    maxFrameBytes: settings.maxFrameBytes,
    ...player.position,
    fragment: player.fragment,
    cluster: settings.serverName,
  });
}
