import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureCertificate } from "../data-plane/keys/certificate.ts";
import { createClusterKey } from "../data-plane/keys/cluster-key.ts";
import type { Cores } from "./cores.ts";
import { type FakeMaster, startFakeMaster } from "./fake-master.ts";

/** Name of the cluster's key files. */
export const keyName = "bench";

/** How long everything is measured. */
export interface Effort {
  readonly windowMs: number;
  /** Windows of each contender. */
  readonly rounds: number;
  /** How long each contender is loaded before the first window. */
  readonly warmUpMs: number;
  /** Joins before the first window where joins are measured: so many until their code is compiled. */
  readonly warmUpJoins: number;
  /** How long the load runs before each window. */
  readonly settleMs: number;
}

/** What all contenders share. */
export interface Setup {
  readonly cores: Cores;
  readonly effort: Effort;
  /** One certificate for all: P-256, self-signed, made as a cluster makes its own. */
  readonly certificate: { readonly keyPem: string; readonly certificatePem: string; readonly serverName: string };
  readonly keysDir: string;
  readonly master: FakeMaster;
  /** How many players `world-views` is measured with, one after the other. */
  readonly loads: readonly number[];
  /** Folder for CPU profiles of the servers; without one nothing is profiled. */
  readonly profileDir: string | undefined;
  /** Says how far the work is. */
  readonly say: (text: string) => void;
  dispose(): Promise<void>;
}

export async function createSetup(
  options: Pick<Setup, "cores" | "effort" | "loads" | "profileDir" | "say">,
): Promise<Setup> {
  const keysDir = await mkdtemp(join(tmpdir(), "sustenet-bench-"));
  const { keyId } = await createClusterKey(keysDir, keyName);
  const certificate = await ensureCertificate(keysDir, keyName, keyId, new Date());
  const master = await startFakeMaster();
  return {
    ...options,
    certificate,
    keysDir,
    master,
    dispose: async () => {
      master.close();
      await rm(keysDir, { recursive: true, force: true });
    },
  };
}
