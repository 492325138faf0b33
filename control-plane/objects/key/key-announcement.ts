import { failpoint } from "../../failpoint.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import { registryShard } from "../remote.ts";
import { certainShards } from "../shard/shard-directory.ts";

/** What the shards, and through them the clusters, have to know of the published set. */
export interface KeyAnnouncement {
  readonly version: number;
  readonly revoked: readonly string[];
}

/** What the key ring tells others, and must not lose. */
export type KeyRingMessage = {
  /** `changed` and `revoked`: to all shards; `copy`: to the database. */
  readonly kind: "changed" | "revoked" | "copy";
};

/** Tells every shard that there may be; throws when one of them has not heard. Telling again is harmless. */
export async function announceKeys(
  env: Env,
  kind: "changed" | "revoked",
  announcement: KeyAnnouncement,
): Promise<void> {
  if (kind === "revoked") failpoint("emergency.announcing");
  else failpoint("rotate.announcing");
  const names = await certainShards(env);
  await Promise.all(
    names.map(async (name) =>
      withDeadline(registryShard(env, name).keysChanged(announcement), objectCallTimeoutMs, "a registry shard"),
    ),
  );
  if (kind === "revoked") failpoint("emergency.announced");
  else failpoint("rotate.announced");
}
