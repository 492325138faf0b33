/**
 * `npm run master`: the master in workerd with its local services, until Ctrl-C.
 * Takes `--port N` (default 6256; 0: any free port) and `--state DIR`. Started by another process, it reports over IPC.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Log, LogLevel, Miniflare } from "miniflare";
import { migrate } from "../control-plane/store/migrate.ts";
import { startServices } from "./local-services.ts";
import { findPort } from "./ports.ts";
import { createStateDir } from "./state-dir.ts";
import { buildWorkerBundle, workerOptions } from "./worker-bundle.ts";

/** What the parent process is told, in this order. */
export type MasterReport =
  | { readonly event: "progress"; readonly text: string }
  | {
      readonly event: "ready";
      readonly url: string;
      readonly databaseUrl: string;
      readonly databaseToken: string;
    };

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "6256" },
    state: { type: "string", default: ".sustenet" },
  },
});

const stateDir = createStateDir(values.state);

const services = await startServices(stateDir, process.env);
for (const description of services.descriptions) say(description);
await migrate({ url: services.bindings.TURSO_DATABASE_URL, authToken: services.bindings.TURSO_AUTH_TOKEN });

const bundle = await loadBundle();
const port = await findPort("127.0.0.1", Number(values.port));
const url = `http://127.0.0.1:${port}`;
const miniflare = new Miniflare({
  ...workerOptions({
    entry: bundle,
    bindings: { ...services.bindings, MASTER_URL: url },
    host: "127.0.0.1",
    port,
    persistDir: join(stateDir, "objects"),
  }),
  log: new Log(LogLevel.WARN),
});
await miniflare.ready;
say(`master: ready at ${url} (API at ${url}/docs)`);
process.send?.({
  event: "ready",
  url,
  databaseUrl: services.bindings.TURSO_DATABASE_URL,
  databaseToken: services.bindings.TURSO_AUTH_TOKEN,
} satisfies MasterReport);

let stopping = false;
for (const signal of ["SIGINT", "SIGTERM", "disconnect"]) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    void stop();
  });
}

async function stop(): Promise<void> {
  await miniflare.dispose();
  await services.close();
  process.exit(0);
}

/** The Worker's bundle: built now, unless the parent process has built it already. */
async function loadBundle(): Promise<string> {
  const given = process.env["SUSTENET_WORKER_BUNDLE"];
  if (given !== undefined && existsSync(given)) return given;
  say("master: building the Worker");
  return buildWorkerBundle(join(stateDir, "worker"));
}

function say(text: string): void {
  if (process.send === undefined) console.log(text);
  else process.send({ event: "progress", text } satisfies MasterReport);
}
