import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { enrolClusterKey } from "../control-plane/store/cluster-keys.ts";
import { createClusterKey } from "../data-plane/index.ts";
import type { MasterReport } from "./master.ts";
import { isPortFree } from "./ports.ts";
import { startProcess, type StackProcess } from "./process.ts";
import { parseLogLine, shownClusterLine, shownMasterLine } from "./shown-lines.ts";
import type { WorldPart } from "./world-part.ts";

const masterStartTimeoutMs = 120_000;
const clusterStartTimeoutMs = 30_000;
/** How the world of the local stack is laid out. */
const worldFile = join(import.meta.dirname, "../examples/world/world.toml");
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
  /** 0: any; without it 6256, or any where that is taken. */
  readonly port?: number | undefined;
  readonly environment?: Readonly<Record<string, string>>;
  readonly say: Say;
  /** Calls it off; nothing of it is left then. */
  readonly signal?: AbortSignal;
}): Promise<MasterProcess> {
  const { promise, resolve: onReady, reject: onFailed } = Promise.withResolvers<MasterReport & { event: "ready" }>();
  const master = startProcess({
    title: "master",
    file: join(import.meta.dirname, "master.ts"),
    args: [
      "--state",
      resolve(options.stateDir),
      ...(options.port === undefined ? [] : ["--port", String(options.port)]),
    ],
    ...(options.environment === undefined ? {} : { environment: options.environment }),
    // miniflare has its own way with SIGTERM, which skips our goodbye.
    endsOnDisconnect: true,
    onLine: (line) => {
      const text = shownMasterLine(line);
      if (text !== undefined) options.say("master", text);
    },
    onMessage: (message) => {
      if (isMasterReport(message)) {
        if (message.event === "ready") onReady(message);
        else if (message.event === "failed") onFailed(new Error(message.text));
        else options.say("master", message.text);
      }
    },
  });
  const report = await orFail(promise, master, masterStartTimeoutMs, options.signal);
  return { ...master, url: report.url, database: { url: report.databaseUrl, authToken: report.databaseToken } };
}

export interface ClusterProcess extends StackProcess {
  readonly port: number;
}

export interface ClusterOptions {
  readonly stateDir: string;
  readonly number: number;
  readonly master: Pick<MasterProcess, "url" | "database">;
  readonly say: Say;
  /** More lines for the `[cluster]` section of its Config.toml. */
  readonly settings?: readonly string[];
  /** Its part of a world that it shares with other clusters; without it, it has one of its own. */
  readonly part?: WorldPart;
  /** The program to run; without it the example world. */
  readonly program?: string;
  /** Calls it off; nothing of it is left then. */
  readonly signal?: AbortSignal;
}

/** Makes a key for the cluster, enrols it, starts the process, and resolves when it is registered. */
export async function startCluster(options: ClusterOptions): Promise<ClusterProcess> {
  const { number, say } = options;
  const title = `cluster-${number}`;
  const folder = resolve(options.stateDir, "clusters", title);
  const keysDir = join(folder, "keys");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(keysDir, "cluster_key.pub"))) {
    const { publicKey } = await createClusterKey(keysDir, "cluster_key");
    await enrolClusterKey(options.master.database, { name: title, publicKey });
  }
  const port = firstClusterPort + number - 1;
  if (await isPortFree("127.0.0.1", port)) {
    try {
      return await runCluster(options, title, folder, String(port));
    } catch (error) {
      // Somebody may have taken it in this very moment: a second stack that was started along with this one.
      if (options.signal?.aborted === true || (await isPortFree("127.0.0.1", port))) throw error;
    }
  }
  say(title, `port ${port} is taken; it takes one that is free instead`);
  return runCluster(options, title, folder, '"free"');
}

async function runCluster(
  options: ClusterOptions,
  title: string,
  folder: string,
  port: string,
): Promise<ClusterProcess> {
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
      ...(options.part === undefined
        ? []
        : [`world = "${options.part.world}"`, `spawn = ${JSON.stringify(options.part.spawn)}`]),
      ...(options.settings ?? []),
      "",
      worldTables(options.part),
      "",
    ].join("\n"),
  );
  const { promise, resolve: onReady } = Promise.withResolvers<number>();
  const cluster = startProcess({
    title,
    file: options.program ?? join(import.meta.dirname, "cluster.ts"),
    cwd: folder,
    onLine: (line) => {
      const entry = parseLogLine(line);
      if (entry?.event === "ready" && entry.port !== undefined) onReady(entry.port);
      const text = shownClusterLine(line);
      if (text !== undefined) options.say(title, text);
    },
  });
  return { ...cluster, port: await orFail(promise, cluster, clusterStartTimeoutMs, options.signal) };
}

/** The tables of the world, with what of it is carried. */
function worldTables(part: WorldPart | undefined): string {
  const text = readFileSync(worldFile, "utf8");
  return part === undefined ? text : text.replace("[world]\n", `[world]\ncarries = ${JSON.stringify(part.carries)}\n`);
}

/** `promise`, or an error when the process ends, the time runs out or it is called off before; the process has ended then. */
async function orFail<T>(
  promise: Promise<T>,
  child: StackProcess,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`${child.title} was not ready after ${timeoutMs / 1_000} s`)),
    timeoutMs,
  );
  const onAbort = (): void => reject(new Error(`${child.title} was called off`));
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted === true) onAbort();
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
    signal?.removeEventListener("abort", onAbort);
    ended.catch(() => undefined);
  }
}

function isMasterReport(message: unknown): message is MasterReport {
  return typeof message === "object" && message !== null && "event" in message;
}
