import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { readStoreSettings } from "../../../control-plane/settings.ts";
import { type AllocationEntry, listAllocations } from "../../../control-plane/store/history.ts";
import type { RecordKeeper, RegistryShard } from "../../../control-plane/worker.ts";

/** `eu.2` is there in tests that change the number of shards. */
const shards = ["default.0", "eu.0", "eu.1", "eu.2"];
const keepers = ["keeper.0", "keeper.1", "keeper.2", "keeper.3"];

/** Has all that waits to be put on record written, as the objects' alarms would. */
export async function writeRecordsNow(): Promise<void> {
  const alarm = async (instance: RegistryShard | RecordKeeper) => instance.alarm();
  await Promise.all([
    ...shards.map((name) => runInDurableObject<RegistryShard, void>(env.REGISTRY_SHARD.getByName(name), alarm)),
    ...keepers.map((name) => runInDurableObject<RecordKeeper, void>(env.RECORD_KEEPER.getByName(name), alarm)),
  ]);
}

/** What is on record of a player's seats, the newest first. */
export async function historyOf(player: { readonly id: string }): Promise<readonly AllocationEntry[]> {
  return listAllocations(readStoreSettings(env), { playerId: player.id, limit: 100, nowMs: Date.now() });
}
