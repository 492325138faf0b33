import { env } from "cloudflare:workers";
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import type { KeyRing } from "../../../control-plane/worker.ts";
import type { JsonWebKeySet, LinkKeys, PlayerSessionTokens } from "../../../protocol/index.ts";
import type { TestCluster } from "./clusters.ts";
import { call, expectJson } from "./master.ts";
import { eventually } from "../../support/eventually.ts";

/** Answer of `GET /v1/admin/signing-keys`, as far as tests look. */
export interface KeySet {
  readonly keys: readonly { readonly kid: string; readonly state: string }[];
  readonly revoked: readonly string[];
}

export async function activeKid(operator: PlayerSessionTokens): Promise<string> {
  const response = await call("GET", "/v1/admin/signing-keys", { token: operator.accessToken });
  const { keys } = await expectJson<KeySet>(response, 200);
  return keys.find(({ state }) => state === "active")?.kid ?? "";
}

export async function publishedKids(): Promise<string[]> {
  const { keys } = await expectJson<JsonWebKeySet>(await call("GET", "/.well-known/jwks.json"), 200);
  return keys.map(({ kid }) => kid);
}

/** Makes the next key as old as it has to be to sign. */
export async function ripenNextKey(): Promise<void> {
  await runInDurableObject(env.KEY_RING.getByName("ring"), (_: KeyRing, { storage }) => {
    storage.sql.exec(
      `UPDATE keys SET record = json_set(record, '$.createdAt', json_extract(record, '$.createdAt') - 4000)
       WHERE json_extract(record, '$.state') = 'next'`,
    );
  });
  await abortAllDurableObjects();
}

/** Reports until the cluster is told of the key set. */
export async function toldKeys(cluster: TestCluster): Promise<LinkKeys> {
  return eventually(async () => {
    const told = (await cluster.commandsAfter()).find((command): command is LinkKeys => command.type === "keys");
    if (told === undefined) throw new Error("the cluster has not been told of keys");
    return told;
  });
}
