import { signClusterAssertion } from "../../auth/cluster-assertion.ts";
import { loadClusterKey } from "../../data-plane/keys/cluster-key.ts";
import type { RegisterRequest, RegisterResponse } from "../../protocol/index.ts";
import type { BenchMaster } from "./master.ts";
import type { Caller } from "./requests.ts";

/** Registers clusters as their processes do, `from` to below `to` by number, and returns what the master told each. */
export async function registerClusters(
  master: BenchMaster,
  caller: Caller,
  from: number,
  to: number,
): Promise<readonly RegisterResponse[]> {
  const { keysDir, name, keyId } = master.clusterKey;
  const { privateKey: key } = await loadClusterKey(keysDir, name);
  const answers: RegisterResponse[] = [];
  let number = from;
  const lane = async (): Promise<void> => {
    while (number < to) {
      const instance = `bench-${number++}`;
      const now = Math.floor(Date.now() / 1_000);
      const assertion = await signClusterAssertion({ key, keyId, instance, masterUrl: master.url, now });
      const body = JSON.stringify(registration(instance));
      const { status, text } = await caller.call({
        method: "POST",
        path: "/v1/clusters/register",
        headers: {
          authorization: `Bearer ${assertion}`,
          "content-type": "application/json",
          "content-length": String(Buffer.byteLength(body)),
        },
        body,
      });
      if (status !== 200) throw new Error(`${instance} could not register: ${status} ${text.slice(0, 300)}`);
      const answer: RegisterResponse = JSON.parse(text);
      answers.push(answer);
    }
  };
  await Promise.all(Array.from({ length: 64 }, lane));
  return answers;
}

function registration(instance: string): RegisterRequest {
  return {
    instance,
    name: instance,
    region: "default",
    host: "127.0.0.1",
    port: 6257,
    tls: {
      serverName: "c.sustenet.test",
      caPem: `-----BEGIN CERTIFICATE-----\n${"MIIB".repeat(160)}\n-----END CERTIFICATE-----\n`,
      sha256: "ab".repeat(32),
    },
    capacity: 100_000,
    protocol: { min: 1, max: 1 },
    tags: ["bench"],
    software: "sustenet-cluster/bench",
  };
}
