import { readArguments } from "./config/arguments.ts";
import { ConfigError } from "./config/config-error.ts";
import { flagHelp } from "./config/flag-help.ts";
import { LayoutWatch } from "./config/layout-watch.ts";
import { printSettings } from "./config/printed-settings.ts";
import { type ClusterSettings, type LoadedSettings, loadSettings } from "./config/settings.ts";
import { createCluster } from "./cluster.ts";
import type { ClusterOptions, ClusterServer } from "./cluster-server.ts";
import { exitCodes } from "./exit-codes.ts";
import { KeyError } from "./keys/key-error.ts";
import { StorageError } from "./storage/storage-file.ts";
import { defaultLimits } from "./limits.ts";
import { createLogger, type ProcessLogger } from "./log.ts";
import { ListenError } from "./net/gate.ts";
import { explainFence } from "./master-link/fence.ts";
import { nodeFault } from "./node-version.ts";
import { pluginName } from "./plugin/plugin-slot.ts";
import type { ServerPlugin } from "./plugin/server-plugin.ts";
import { Watchdog } from "./plugin/watchdog.ts";
import { instanceIndex, instanceVariable, settingsOfInstance } from "./supervisor/instance.ts";
import { defaultRestartRules } from "./supervisor/restart-policy.ts";
import { endMessage, readyMessage, Supervisor } from "./supervisor/supervisor.ts";

export interface StartOptions {
  /** By default what `--config` says, then the variable `SUSTENET_CONFIG`, then `Config.toml` in the current folder. */
  readonly configFile?: string;
  /** Flags, by default those of this process; an empty list for a program with flags of its own. */
  readonly args?: readonly string[];
}

/** How often to look whether the world has been laid out anew. */
const layoutCheckMs = 2_000;
/** A file that is written where it stands is whole after that, unless whoever writes it takes a rest. */
const layoutSettleMs = 250;

/** After this many errors that nobody caught within a second something is badly wrong. */
const maxUncaughtASecond = 100;

/**
 * Runs a cluster with this plugin, or these in their order, in this process, until SIGTERM or SIGINT: then it lets nobody
 * in, lets the plugins bring the game to its end, hands players over or tells them to go, deregisters, and ends the process with 0. Resolves
 * when players can connect. Settings that cannot be used are said line by line on standard error, and end the process
 * with 2; `--print-config` prints the settings and ends it with 0, `--help` the flags.
 *
 * With `[cluster] instances` above 0 this process becomes a supervisor instead: it runs this same program so many times,
 * and ends when all have. Then this does not return in it.
 */
export async function start(plugin: ServerPlugin | readonly ServerPlugin[], options: StartOptions = {}): Promise<void> {
  const tooOld = nodeFault(process.versions.node);
  if (tooOld !== undefined) {
    process.stderr.write(`${tooOld}\n`);
    process.exit(exitCodes.UNUSABLE_SETTINGS);
  }
  const index = instanceIndex(process.env);
  // Not for the processes that a plugin may start.
  delete process.env[instanceVariable];
  const loaded = readSettings(options);
  if (loaded === undefined) return;
  const settings = index === undefined ? loaded.settings : settingsOfInstance(loaded.settings, index);
  const log = createLogger(settings.logLevel, index === undefined ? {} : { instance: settings.instance });
  if (index === undefined) for (const remark of loaded.remarks) log.warn({ event: "settings" }, remark);
  if (index === undefined && settings.instances > 0) exit(log, await supervise(settings, log));
  containStrayErrors(log);
  const watchdog = new Watchdog();
  const cluster = prepare({ settings, plugin, logger: log, watch: watchdog }, log);
  let ending = false;
  const end = (exitCode: number): void => {
    if (ending) return;
    ending = true;
    void cluster.stop().finally(() => exit(log, exitCode));
  };
  let signalled = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    // Who has a supervisor is told by that to end at once; once it is gone, the second signal says so, as its end was none.
    if (index === undefined ? ending : signalled && !process.connected) exit(log, exitCodes.FAILED);
    signalled = true;
    if (!ending) log.info({ event: "stopping", signal }, `${signal}: stopping; once more to end at once`);
    end(exitCodes.STOPPED);
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  if (index !== undefined) {
    process.on("message", (message) => {
      if (message === endMessage) exit(log, exitCodes.FAILED);
    });
    const onGone = (): void => {
      log.error({ event: "supervisor-gone" }, "the supervisor is gone: stopping");
      end(exitCodes.STOPPED);
    };
    // Also while it starts, or before: nobody would stop it later.
    process.on("disconnect", onGone);
    if (process.send !== undefined && !process.connected) onGone();
  }
  const { world } = settings;
  const watch = new LayoutWatch({
    file: loaded.file,
    load: loaded.reread,
    checkMs: layoutCheckMs,
    settleMs: layoutSettleMs,
    log,
    onLayout: (layout) => cluster.changeLayout(layout),
  });
  if (world !== undefined) await watch.start();
  process.on("SIGHUP", () => {
    void cluster.reloadCertificate();
    if (world !== undefined) void watch.check();
  });
  void cluster.superseded.then((fence) => {
    log.error({ event: "superseded", ...fence }, explainFence(fence));
    end(exitCodes.SUPERSEDED);
  });
  void cluster.drained.then(() => {
    log.info({ event: "drained" }, "drained, as an operator has ordered: stopping");
    end(index === undefined ? exitCodes.STOPPED : exitCodes.DRAINED);
  });
  try {
    await cluster.start();
  } catch (error) {
    if (error instanceof KeyError || error instanceof StorageError || error instanceof ListenError)
      fail(log, error.message, exitCodes.UNUSABLE_SETTINGS);
    log.error({ event: "start-failed", err: error }, "the cluster could not start");
    exit(log, exitCodes.FAILED);
  }
  if (settings.watchdogSeconds > 0) {
    const plugins = "length" in plugin ? plugin : [plugin];
    watchdog.start(settings.watchdogSeconds * 1_000, plugins.map(pluginName));
  }
  if (index !== undefined && process.connected) process.send?.(readyMessage);
}

/** A plugin whose kinds of entity the wire cannot carry ends the process: there is no game to run. */
function prepare(options: ClusterOptions, log: ProcessLogger): ClusterServer {
  try {
    return createCluster(options);
  } catch (error) {
    log.error({ event: "start-failed", err: error }, "the cluster could not start");
    return exit(log, exitCodes.FAILED);
  }
}

/** The settings; `undefined` when the process is about to end, as they cannot be used or were only to be printed. */
function readSettings(options: StartOptions): LoadedSettings | undefined {
  const args = readArguments(options.args ?? process.argv.slice(2));
  if (args.help) {
    process.stdout.write(`${flagHelp()}\n`);
    process.exit(exitCodes.STOPPED);
  }
  const named = args.configFile ?? options.configFile ?? process.env["SUSTENET_CONFIG"];
  try {
    const loaded = loadSettings({
      file: named ?? "Config.toml",
      fileMustExist: named !== undefined,
      // As it is now: plugins may change it, and the file is read again.
      environment: { ...process.env },
      flags: args.flags,
    });
    if (!args.printConfig) return loaded;
    process.stdout.write(printSettings(loaded));
    process.exit(exitCodes.STOPPED);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(exitCodes.UNUSABLE_SETTINGS);
  }
}

/** What instances may need beyond the time for draining and stopping before they are taken for stuck. */
const stopMarginMs = 5_000;

async function supervise(settings: ClusterSettings, log: ProcessLogger): Promise<number> {
  const supervisor = new Supervisor({
    name: settings.instance,
    instances: settings.instances,
    program: process.argv[1] ?? "",
    args: process.argv.slice(2),
    environment: process.env,
    log,
    rules: defaultRestartRules,
    random: Math.random,
    nowMs: () => performance.now(),
    stopTimeoutMs: settings.drainSeconds * 1_000 + defaultLimits.stopTimeoutMs * 2 + stopMarginMs,
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => supervisor.stop(signal));
  process.on("SIGHUP", () => supervisor.pass("SIGHUP"));
  return supervisor.run();
}

/** A plugin's callback that throws with nobody to catch it must not take the players with it. */
function containStrayErrors(log: ProcessLogger): void {
  let count = 0;
  let secondStartedAt = 0;
  const contain = (error: unknown): void => {
    const now = performance.now();
    if (now - secondStartedAt > 1_000) {
      secondStartedAt = now;
      count = 0;
    }
    count += 1;
    log.error({ event: "uncaught", err: error }, "an error that nobody caught, most likely in the plugin");
    if (count > maxUncaughtASecond) exit(log, exitCodes.FAILED);
  };
  process.on("uncaughtException", contain);
  process.on("unhandledRejection", contain);
}

function fail(log: ProcessLogger, text: string, exitCode: number): never {
  log.flush();
  process.stderr.write(`${text}\n`);
  return exit(log, exitCode);
}

function exit(log: ProcessLogger, exitCode: number): never {
  log.flush();
  process.exit(exitCode);
}
