import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import type { ShardMap } from "../../../control-plane/domain/clusters/sharding.ts";
import { readMasterSettings } from "../../../control-plane/settings.ts";
import type { RegistryShard } from "../../../control-plane/worker.ts";
import { masterUrl } from "./master.ts";

/** Where a master is that runs on this machine. */
export const localMasterUrl = "http://127.0.0.1";

/** Has the objects of the master try the addresses of clusters, as a master does at `at`; or not, as in most tests. */
export async function setProbing(probeClusters: boolean, at = masterUrl): Promise<void> {
  await runInDurableObject(env.REGISTRY_SHARD.getByName("default.0"), (instance: RegistryShard) => {
    const source: unknown = Reflect.get(instance, "env");
    if (typeof source !== "object" || source === null) throw new Error("an object has its settings");
    Object.assign(readMasterSettings(source), { masterUrl: at, probeClusters });
  });
}

/** Has one shard, and with it the Worker that it runs in, expect reports this often when it has little to do. */
export async function setReportInterval(reportIntervalMs: number): Promise<void> {
  await runInDurableObject(env.REGISTRY_SHARD.getByName("default.0"), (instance: RegistryShard) => {
    const source: unknown = Reflect.get(instance, "env");
    if (typeof source !== "object" || source === null) throw new Error("an object has its settings");
    Object.assign(readMasterSettings(source), { reportIntervalMs });
  });
}

/** Changes the map of shards for the whole master, as a deploy does with another value of `SHARDS`. */
export async function setShards(shards: ShardMap): Promise<void> {
  const sources: unknown[] = [env];
  const keep = (instance: object): void => void sources.push(Reflect.get(instance, "env"));
  await runInDurableObject(env.REGISTRY_SHARD.getByName("default.0"), keep);
  await runInDurableObject(env.PLAYER_SESSION.getByName("nobody"), keep);
  for (const source of sources) {
    if (typeof source !== "object" || source === null) throw new Error("an object has its settings");
    Object.assign(readMasterSettings(source), { shards });
  }
}
