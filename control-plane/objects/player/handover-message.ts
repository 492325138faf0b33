import type { BetweenSessions, FromSession } from "../../../protocol/handover/messages.ts";
import type { SaveRecord } from "../../domain/store-record.ts";
import { failpoint } from "../../failpoint.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import type { Body } from "./player-authority.ts";
import { playerSession, recordKeeper, registryShard } from "../remote.ts";

/** What a player's session tells others about authority, and must not lose. */
export type HandoverMessage =
  /** To a cluster that did not ask, or that had to wait for its answer; the target is its shard. */
  | {
      readonly kind: "tell";
      readonly clusterId: string;
      readonly playerId: string;
      readonly message: FromSession<Body>;
    }
  /** To the session of another member of a group; the target is that player. */
  | { readonly kind: "member"; readonly message: BetweenSessions<Body> }
  /** What was saved, for the database of record; the target is the player. */
  | { readonly kind: "save"; readonly record: SaveRecord };

/** Takes a message to where it belongs. Throws when it did not arrive. */
export async function deliverHandoverMessage(env: Env, target: string, message: HandoverMessage): Promise<void> {
  switch (message.kind) {
    case "tell": {
      const { clusterId, playerId, message: told } = message;
      await withDeadline(
        registryShard(env, target).tell(clusterId, { type: "session", playerId, message: told }),
        objectCallTimeoutMs,
        "a registry shard",
      );
      return;
    }
    case "member": {
      failpoint("handover.member");
      const step = playerSession(env, target).hearMember(target, message.message);
      await withDeadline(step, objectCallTimeoutMs, "another player's session");
      return;
    }
    case "save":
      failpoint("handover.recording");
      await withDeadline(recordKeeper(env, target).keep([message.record]), objectCallTimeoutMs, "a record keeper");
      return;
  }
}
