import type { SourceEvent, SourceState } from "../../protocol/handover/source-state.ts";
import type { TeleportOutcome } from "../plugin/player.ts";

/** One step of a handover at its source: what happened, and the handover before and after it. */
export interface SourceStepTaken {
  readonly before: SourceState<unknown>;
  readonly event: SourceEvent<unknown>;
  readonly after: SourceState<unknown>;
}

/**
 * What a step of its handover says of a player that was teleported: that it plays at the destination, or that it plays on here, and why;
 * `undefined` where it says neither. [HAND-19]
 */
export function teleportOutcome(
  { before, event, after }: SourceStepTaken,
  playerId: string,
): TeleportOutcome | undefined {
  const outcome = after.members.find((member) => member.playerId === playerId)?.outcome;
  if (outcome === "superseded") return "left";
  if (after.activated || outcome === "moved") return "handed-over";
  const playsOn = outcome === "stayed" || (after.phase === "doubt" && before.phase !== "doubt");
  return playsOn ? reasonOf(event) : undefined;
}

/** Why players play on where they are. */
function reasonOf(event: SourceEvent<unknown>): TeleportOutcome {
  switch (event.type) {
    case "destination": {
      const { message } = event;
      if (message.type !== "refused" || message.reason === "unknown") return "unreachable";
      return message.reason === "full" ? "full" : "refused";
    }
    case "frozen":
      return "refused";
    case "session":
      return event.message.type === "commitRefused" && event.message.reason === "tooLarge" ? "refused" : "unreachable";
    case "linkUp":
    case "linkDown":
    case "item":
    case "clientGone":
    case "clientBack":
    case "cancel":
    case "timeout":
    case "abandon":
      return "unreachable";
  }
}
