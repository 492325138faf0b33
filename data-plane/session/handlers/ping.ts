import { encodePong, type Ping } from "../../../protocol/index.ts";
import type { Session } from "../session.ts";

/** Answered in place, before any later frame. [PING-1] */
export function handlePing(session: Session, ping: Ping): void {
  session.send("control", encodePong({ echoMs: ping.timeMs, timeMs: session.context.clock.monotonicMs() }));
}
