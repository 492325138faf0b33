import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { convertV4MiniflareOptions, type MiniflareOptions } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";

const root = join(import.meta.dirname, "..");
const buildTimeoutMs = 120_000;

/**
 * Builds the very bundle that `wrangler deploy` would upload, into `folder`, and returns the path of its entry module.
 *
 * @throws Error with wrangler's own words when the build fails, and what `signal` was aborted with.
 */
export async function buildWorkerBundle(folder: string, signal?: AbortSignal): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const arguments_ = ["deploy", "--dry-run", "--outdir", folder];
  const { code, output } = await new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const child = spawn(join(root, "node_modules/.bin/wrangler"), arguments_, {
      cwd: root,
      timeout: buildTimeoutMs,
      ...(signal === undefined ? {} : { signal }),
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        WRANGLER_SEND_METRICS: "false",
        WRANGLER_SEND_ERROR_REPORTS: "false",
        WRANGLER_HIDE_BANNER: "true",
      },
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (output += piece));
    child.stderr.setEncoding("utf8").on("data", (piece: string) => (output += piece));
    child.on("error", (error) => reject(signal?.aborted === true ? signal.reason : error));
    child.on("close", (code) => resolve({ code, output }));
  });
  signal?.throwIfAborted();
  if (code !== 0) throw new Error(`wrangler could not build the Worker:\n${output}`);
  return join(folder, "worker.js");
}

/** Options that run the bundle in workerd as wrangler.toml says, with `bindings` in place of vars and secrets. */
export function workerOptions(options: {
  readonly entry: string;
  readonly bindings: Readonly<Record<string, string>>;
  readonly host: string;
  readonly port: number;
  readonly persistDir: string;
}): MiniflareOptions {
  const { workerOptions: worker } = unstable_getMiniflareWorkerOptions(join(root, "wrangler.toml"));
  return convertV4MiniflareOptions({
    ...worker,
    // Module names are paths relative to this folder; workerd takes none that climb out of it.
    modulesRoot: dirname(options.entry),
    modules: [{ type: "ESModule", path: options.entry }],
    // Without it miniflare looks up where this machine is.
    cf: false,
    bindings: Object.assign({}, worker.bindings, options.bindings),
    host: options.host,
    port: options.port,
    resourcePersistencePath: options.persistDir,
  });
}
