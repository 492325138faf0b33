import { spawn, spawnSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { enrolClusterKey } from "../../control-plane/store/cluster-keys.ts";
import { migrate } from "../../control-plane/store/migrate.ts";
import { createClusterKey } from "../../data-plane/keys/cluster-key.ts";
import { startLibsqlServer } from "../../dev/libsql/server.ts";
import { freePort } from "../../dev/ports.ts";
import { startSupabaseAuth } from "../../dev/supabase-auth/server.ts";
import type { Cores } from "../cores.ts";
import { childrenOf, processCpuUs } from "./process-cpu.ts";

const root = join(import.meta.dirname, "../..");

/** The master under measurement: one workerd on its own core; everything that it talks to is in this process. */
export interface BenchMaster {
  readonly url: string;
  readonly port: number;
  /** CPU that workerd has used so far, in µs. */
  cpuUs(): number;
  /** An access token of a player of its own. */
  accessToken(): Promise<string>;
  /** An enrolled cluster key. */
  readonly clusterKey: { readonly keyId: string; readonly keysDir: string; readonly name: string };
  dispose(): Promise<void>;
}

/** @param vars what differs from wrangler.toml */
export async function startBenchMaster(
  cores: Cores,
  vars: Readonly<Record<string, string>>,
  say: (text: string) => void,
): Promise<BenchMaster> {
  const folder = await mkdtemp(join(tmpdir(), "sustenet-bench-master-"));
  const databaseToken = randomBytes(16).toString("base64url");
  const publishableKey = `sb_publishable_${randomBytes(16).toString("base64url")}`;
  const database = await startLibsqlServer({ file: join(folder, "turso.db"), authToken: databaseToken });
  const identity = await startSupabaseAuth({ publishableKey });
  const address = { url: database.url, authToken: databaseToken };
  await migrate(address);
  const key = await createClusterKey(folder, "bench");
  await enrolClusterKey(address, { name: "bench", publicKey: key.publicKey });
  say("building the Worker");
  const entry = await bundle(join(folder, "bundle"));
  const port = await freePort("127.0.0.1");
  const url = `http://127.0.0.1:${port}`;
  const { workerOptions: worker } = unstable_getMiniflareWorkerOptions(join(root, "wrangler.toml"));
  const bindings = {
    ...vars,
    // They only register: nobody listens where they say that they are.
    PROBE_CLUSTERS: "off",
    MASTER_URL: url,
    TURSO_DATABASE_URL: database.url,
    TURSO_AUTH_TOKEN: databaseToken,
    SUPABASE_URL: identity.url,
    SUPABASE_PUBLISHABLE_KEY: publishableKey,
    KEY_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    LIMITS: '{"allocatePerPlayer":[1000000,60],"allocationsPerHour":[1000000,3600],"registrationsPerKey":[1000000,60]}',
  };
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      ...worker,
      modulesRoot: dirname(entry),
      modules: [{ type: "ESModule", path: entry }],
      cf: false,
      bindings: Object.assign({}, worker.bindings, bindings),
      durableObjects: Object.assign({}, worker.durableObjects, {
        BARE_PLAYER: { className: "BarePlayer", useSQLite: true },
        BARE_SHARD: { className: "BareShard", useSQLite: true },
      }),
      host: "127.0.0.1",
      port,
      resourcePersistencePath: join(folder, "objects"),
    }),
    log: new Log(LogLevel.WARN),
    // A line for each request: workerd writes them, nobody reads them.
    handleStructuredLogs: () => undefined,
  });
  await miniflare.ready;
  const [pid, ...others] = childrenOf(process.pid, "workerd");
  if (pid === undefined || others.length > 0) throw new Error("there has to be one workerd");
  const { status } = spawnSync("taskset", ["-a", "-c", "-p", String(cores.server), String(pid)]);
  if (status !== 0) throw new Error("workerd could not be moved to its core");
  return {
    url,
    port,
    cpuUs: () => processCpuUs(pid),
    accessToken: () => {
      const now = Math.floor(Date.now() / 1_000);
      return identity.signAccessToken({
        iss: `${identity.url}/auth/v1`,
        sub: randomUUID(),
        aud: "authenticated",
        role: "authenticated",
        session_id: randomUUID(),
        is_anonymous: true,
        user_metadata: { display_name: "Ada" },
        iat: now,
        exp: now + 3_600,
      });
    },
    clusterKey: { keyId: key.keyId, keysDir: folder, name: "bench" },
    dispose: async () => {
      await miniflare.dispose();
      await Promise.all([database.close(), identity.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Builds the benchmark's Worker with the settings of the master's. */
async function bundle(folder: string): Promise<string> {
  const script = join(import.meta.dirname, "worker/worker.ts");
  const { code, output } = await new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const child = spawn(join(root, "node_modules/.bin/wrangler"), ["deploy", script, "--dry-run", "--outdir", folder], {
      cwd: root,
      timeout: 120_000,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: "false", WRANGLER_SEND_METRICS: "false" },
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (output += piece));
    child.stderr.setEncoding("utf8").on("data", (piece: string) => (output += piece));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
  if (code !== 0) throw new Error(`the benchmark's Worker cannot be built:\n${output}`);
  return join(folder, "worker.js");
}
