import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { enrolClusterKey } from "../control-plane/store/cluster-keys.ts";
import { createClusterKey } from "../data-plane/index.ts";
import type { MasterReport } from "./master.ts";
import { findPort } from "./ports.ts";
import { startProcess, type StackProcess } from "./process.ts";

const masterStartTimeoutMs = 120_000;
const clusterStartTimeoutMs = 30_000;
const firstClusterPort = 6257;

/** Tells the person at the terminal what `who` is doing. */
export type Say = (who: string, what: string) => void;

export interface MasterProcess extends StackProcess {
  readonly url: string;
  readonly database: { readonly url: string; readonly authToken: string };
}

/** Starts workerd with the Worker in it and its services; resolves when it answers. */
export async function startMaster(options: {
  readonly stateDir: string;
  readonly port?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly say: Say;
}): Promise<MasterProcess> {
  const { promise, resolve: onReady } = Promise.withResolvers<MasterReport & { event: "ready" }>();
  const master = startProcess({
    title: "master",
    file: join(import.meta.dirname, "master.ts"),
    args: ["--state", resolve(options.stateDir), "--port", String(options.port ?? 6256)],
    ...(options.environment === undefined ? {} : { environment: options.environment }),
    // miniflare has its own way with SIGTERM, which skips our goodbye.
    endsOnDisconnect: true,
    onLine: (line) => {
      const text = readMasterLog(line);
      if (text !== undefined) options.say("master", text);
    },
    onMessage: (message) => {
      if (isMasterReport(message)) {
        if (message.event === "ready") onReady(message);
        else options.say("master", message.text);
      }
    },
  });
  const report = await orFail(promise, master, masterStartTimeoutMs);
  return { ...master, url: report.url, database: { url: report.databaseUrl, authToken: report.databaseToken } };
}

export interface ClusterProcess extends StackProcess {
  readonly port: number;
}

/** Makes a key for the cluster, enrols it, starts the process, and resolves when it is registered. */
export async function startCluster(options: {
  readonly stateDir: string;
  readonly number: number;
  readonly master: Pick<MasterProcess, "url" | "database">;
  readonly say: Say;
  /** More lines for the `[cluster]` section of its Config.toml. */
  readonly settings?: readonly string[];
}): Promise<ClusterProcess> {
  const title = `cluster-${options.number}`;
  const folder = resolve(options.stateDir, "clusters", title);
  const keysDir = join(folder, "keys");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(keysDir, "cluster_key.pub"))) {
    const { publicKey } = await createClusterKey(keysDir, "cluster_key");
    await enrolClusterKey(options.master.database, { name: title, publicKey });
  }
  const port = await findPort("127.0.0.1", firstClusterPort + options.number - 1);
  writeFileSync(
    join(folder, "Config.toml"),
    [
      "[all]",
      `server_name = "${title}"`,
      "max_connections = 0",
      `port = ${port}`,
      "",
      "[cluster]",
      'key_name = "cluster_key"',
      `master_url = "${options.master.url}"`,
      `instance = "${title}"`,
      'host = "127.0.0.1"',
      'advertised_host = "127.0.0.1"',
      // All the players of this stack share one address.
      "max_unauthenticated = 1000",
      "max_unauthenticated_per_ip = 1000",
      ...(options.settings ?? []),
      "",
    ].join("\n"),
  );
  const { promise, resolve: onReady } = Promise.withResolvers<number>();
  const cluster = startProcess({
    title,
    file: join(import.meta.dirname, "cluster.ts"),
    cwd: folder,
    onLine: (line) => {
      const event = parseLogLine(line);
      if (event?.event === "ready") onReady(port);
      options.say(title, event?.msg ?? line);
    },
  });
  await orFail(promise, cluster, clusterStartTimeoutMs);
  return { ...cluster, port };
}

/** `promise`, or an error when the process ends or the time runs out before. */
async function orFail<T>(promise: Promise<T>, child: StackProcess, timeoutMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`${child.title} was not ready after ${timeoutMs / 1_000} s`)),
    timeoutMs,
  );
  const ended = child.ended.then((how) =>
    Promise.reject(new Error(`${child.title} ended (${how}) before it was ready`)),
  );
  try {
    return await Promise.race([promise, late, ended]);
  } catch (error) {
    await child.stop(1_000);
    throw error;
  } finally {
    clearTimeout(timer);
    ended.catch(() => undefined);
  }
}

/** What a person wants to see of the Worker's log: each request would be too much. */
function readMasterLog(line: string): string | undefined {
  const entry = parseLogLine(line);
  if (entry === undefined) return line;
  return entry.event === "http.request" && entry.level === "info" ? undefined : line;
}

/** A line of a JSON log. */
function parseLogLine(line: string): { event?: string; level?: string; msg?: string } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return undefined;
    const { event, level, msg }: { event?: unknown; level?: unknown; msg?: unknown } = value;
    return {
      ...(typeof level === "string" ? { level } : {}),
      ...(typeof event === "string" ? { event } : {}),
      ...(typeof msg === "string" ? { msg } : {}),
    };
  } catch {
    return undefined;
  }
}

function isMasterReport(message: unknown): message is MasterReport {
  return typeof message === "object" && message !== null && "event" in message;
}
