/**
 * `npm run master`: the master in workerd with its local services, until Ctrl-C.
 * Takes `--port N` (default 6256, or a free one where that is taken; 0: any free port) and `--state DIR`. Started by another
 * process, it reports over IPC.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAskingForHelp } from "../cli/command-help.ts";
import { parseTyped } from "../cli/typed-options.ts";
import { migrate } from "../control-plane/store/migrate.ts";
import { humanLine } from "../data-plane/log.ts";
import { forgottenDashes } from "./forgotten-dashes.ts";
import { type Services, startServices } from "./local-services.ts";
import { parseMasterPort } from "./master-port.ts";
import { createStateDir } from "./state-dir.ts";
import { lockState } from "./state-lock.ts";
import { buildWorkerBundle } from "./worker-bundle.ts";
import { startWorker } from "./worker.ts";

/** What the parent process is told: progress, then one of the others. */
export type MasterReport =
  | { readonly event: "progress"; readonly text: string }
  | { readonly event: "failed"; readonly text: string }
  | {
      readonly event: "ready";
      readonly url: string;
      readonly databaseUrl: string;
      readonly databaseToken: string;
    };

const help = `npm run master [-- OPTIONS]   runs the master with its local services on this machine, until Ctrl-C

  --port N      its port (default 6256, or a free one where that is taken; 0: any free one)
  --state DIR   where databases and keys are kept (default .sustenet; npm run clean wipes it)
  --help        this text`;

if (isAskingForHelp(process.argv.slice(2))) {
  console.log(help);
  process.exit(0);
}

const stopping = new AbortController();
const ended = Promise.withResolvers<void>();
const onSignal = (): void => {
  // Whatever hangs at the end must not need a third one. workerd ends with this process.
  if (stopping.signal.aborted) process.exit(130);
  stopping.abort();
  ended.resolve();
};
for (const signal of ["SIGINT", "SIGTERM", "disconnect"]) process.on(signal, onSignal);

try {
  await run(stopping.signal);
  process.exit(0);
} catch (error) {
  if (stopping.signal.aborted) process.exit(0);
  fail(error instanceof Error ? error.message : String(error));
}

async function run(signal: AbortSignal): Promise<void> {
  const { port, stateDir } = readOptions();
  // Whoever wants to stop it has to stop the one that started it.
  const holder =
    process.send === undefined
      ? { pid: process.pid, command: "npm run master" }
      : { pid: process.ppid, command: "npm start" };
  const lock = lockState(stateDir, "master", holder);
  const services = await startServices(stateDir, process.env);
  for (const description of services.descriptions) say(description);
  await migrate({ url: services.bindings.TURSO_DATABASE_URL, authToken: services.bindings.TURSO_AUTH_TOKEN });
  signal.throwIfAborted();

  const worker = await startWorker({
    entry: await loadBundle(stateDir, signal),
    bindings: { ...services.bindings, ...ownSettings(process.env) },
    persistDir: join(stateDir, "objects"),
    port,
    say,
    log: showLine,
  });
  forgetOtherListeners();
  if (!signal.aborted) {
    const environmentFile = writeEnvironment(stateDir, worker.url, services);
    say(`the database's address and token are in ${environmentFile}`);
    say(`ready at ${worker.url} (API at ${worker.url}/docs)`);
    process.send?.({
      event: "ready",
      url: worker.url,
      databaseUrl: services.bindings.TURSO_DATABASE_URL,
      databaseToken: services.bindings.TURSO_AUTH_TOKEN,
    } satisfies MasterReport);
    await ended.promise;
    rmSync(environmentFile, { force: true });
  }
  await worker.dispose();
  await services.close();
  lock.release();
}

function readOptions(): { readonly port: number | undefined; readonly stateDir: string } {
  const flags = { port: { type: "string" }, state: { type: "string", default: ".sustenet" } } as const;
  const forgotten = forgottenDashes("npm run master", Object.keys(flags), process.env);
  if (forgotten !== undefined && process.send === undefined) say(forgotten);
  const { values } = parseTyped(process.argv.slice(2), flags, false);
  return {
    port: values.port === undefined ? undefined : parseMasterPort(values.port),
    stateDir: createStateDir(values.state),
  };
}

/** The Worker's bundle: built now, unless the parent process has built it already. */
async function loadBundle(stateDir: string, signal: AbortSignal): Promise<string> {
  const given = process.env["SUSTENET_WORKER_BUNDLE"];
  if (given !== undefined && existsSync(given)) return given;
  say("building the Worker");
  return buildWorkerBundle(join(stateDir, "worker"), signal);
}

/** miniflare ends the process at a signal, before anything else could be stopped. */
function forgetOtherListeners(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    for (const listener of process.listeners(signal)) {
      if (listener !== onSignal) process.removeListener(signal, listener);
    }
  }
}

/** How signing keys are rotated and who may read metrics, where the environment says it. */
function ownSettings(environment: NodeJS.ProcessEnv): Record<string, string> {
  const names = ["KEY_ACTIVE_SECONDS", "KEY_CACHE_SECONDS", "METRICS_TOKEN"];
  return Object.fromEntries(
    names.flatMap((name): [string, string][] => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** What `sustenet` needs to reach this master's database, and `npm run operator` its accounts, for its owner alone, while it runs. */
function writeEnvironment(stateDir: string, masterUrl: string, { bindings, hasLocalAccounts }: Services): string {
  const file = join(stateDir, "master.env");
  const { TURSO_DATABASE_URL, TURSO_AUTH_TOKEN, SUPABASE_URL, SUPABASE_SECRET_KEY } = bindings;
  // A real project's key stays where it is.
  const accounts = hasLocalAccounts ? { SUPABASE_URL, SUPABASE_SECRET_KEY } : {};
  const lines = Object.entries({ TURSO_DATABASE_URL, TURSO_AUTH_TOKEN, MASTER_URL: masterUrl, ...accounts });
  // Not over what is there: its mode would stay.
  rmSync(file, { force: true });
  writeFileSync(file, lines.map(([name, value]) => `${name}=${value}\n`).join(""), { mode: 0o600 });
  return file;
}

function say(text: string): void {
  if (process.send === undefined) console.log(text);
  else process.send({ event: "progress", text } satisfies MasterReport);
}

/** The Worker's log: for people on a terminal, JSON lines otherwise. */
function showLine(line: string): void {
  process.stdout.write(process.stdout.isTTY ? humanLine(`${line}\n`) : `${line}\n`);
}

function fail(text: string): void {
  if (process.send === undefined) {
    console.error(`the master could not start: ${text}`);
    process.exit(1);
  }
  process.send({ event: "failed", text } satisfies MasterReport, () => process.exit(1));
}
