import { signOutEverywhere } from "../../../auth/supabase-sign-out.ts";
import { readIdentitySettings, readStoreSettings } from "../../settings.ts";
import { failpoint } from "../../failpoint.ts";
import { saveBan } from "../../store/bans.ts";
import { erasePlayer } from "../../store/erasure.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { deliverHandoverMessage } from "./handover-message.ts";
import type { OutboxMessage } from "../outbox.ts";
import type { PlayerMessage } from "./player-message.ts";
import { partyObject, registryShard, waitingRoom } from "../remote.ts";

/** Kinds of no use after a day. All others go on however long it takes: records, their end, revocations, and what a later release has put in. */
const passing: ReadonlySet<PlayerMessage["kind"]> = new Set([
  undefined,
  "leave",
  "quit",
  "give-back",
  "sign-out",
  "tell",
  "member",
]);

/** Whether a message may be dropped after a day of trying. */
export function isForAWhile({ kind }: PlayerMessage): boolean {
  return passing.has(kind);
}

/** Takes a message of a player's session to where it belongs. Throws when it did not arrive. */
export async function deliverPlayerMessage(env: Env, { target, payload }: OutboxMessage<PlayerMessage>): Promise<void> {
  switch (payload.kind) {
    case undefined: {
      const { clusterId, generation, playerId } = payload;
      failpoint("fence.ordering");
      const told = registryShard(env, target).fence({ clusterId, generation, playerId });
      await withDeadline(told, objectCallTimeoutMs, "a registry shard");
      failpoint("fence.ordered");
      return;
    }
    case "leave": {
      const { kind: _, ...departure } = payload;
      failpoint("waiting.leaving");
      return withDeadline(waitingRoom(env, target).leave(departure), objectCallTimeoutMs, "the waiting room");
    }
    case "give-back": {
      const told = registryShard(env, target).giveBack(payload.reservationId, payload.playerId);
      return withDeadline(told, objectCallTimeoutMs, "a registry shard");
    }
    case "quit": {
      const { playerId } = payload;
      return withDeadline(partyObject(env, target).leave(playerId, playerId), objectCallTimeoutMs, "the party").then(
        () => undefined,
      );
    }
    case "revoke": {
      const { kind: _, ...order } = payload;
      failpoint("ban.ordering");
      await withDeadline(registryShard(env, target).revoke(order), objectCallTimeoutMs, "a registry shard");
      failpoint("ban.ordered");
      return;
    }
    case "tell":
    case "member":
    case "save":
      return deliverHandoverMessage(env, target, payload);
    case "ban": {
      const { kind: _, ...record } = payload;
      await saveBan(readStoreSettings(env), record);
      if (record.liftedAtMs === undefined) failpoint("ban.recorded");
      else failpoint("unban.recorded");
      return;
    }
    case "erase": {
      const { kind: _, ...erasure } = payload;
      return erasePlayer(readStoreSettings(env), erasure);
    }
    case "sign-out": {
      const { secretKey, ...project } = readIdentitySettings(env);
      // Without the key nothing can be asked of the identity service; that its logins of before do not count is held here.
      if (secretKey !== undefined) await signOutEverywhere({ ...project, secretKey }, payload.playerId);
      failpoint("sign-out.told");
      return;
    }
    default:
      // From a release after this one: it waits for that to be back.
      throw new Error(`a message of a kind that is not known: ${JSON.stringify(payload satisfies never).slice(0, 64)}`);
  }
}
