import { ConfigError } from "./config/config-error.ts";
import { loadSettings } from "./config/settings.ts";
import { type ClusterServer, createCluster } from "./cluster.ts";
import { KeyError } from "./keys/key-error.ts";
import { createLogger, type ProcessLogger } from "./log.ts";
import { ListenError } from "./net/listener.ts";
import type { ServerPlugin } from "./plugin/server-plugin.ts";

export interface StartOptions {
  /** By default the variable `SUSTENET_CONFIG`, or else `Config.toml` in the current folder. */
  readonly configFile?: string;
}

/** How the process ends. */
export const exitCodes = {
  /** Stopped as it was told to. */
  STOPPED: 0,
  /** Something went wrong that nobody can mend by changing a setting. */
  FAILED: 1,
  /** The settings, a key or the port cannot be used. */
  UNUSABLE_SETTINGS: 2,
  /** A newer process with the same key and instance has taken over. */
  SUPERSEDED: 3,
} as const;

/** After so many errors that nobody caught within a second something is badly wrong. */
const maxUncaughtASecond = 100;

/**
 * Runs a cluster with this plugin in this process, until SIGTERM or SIGINT: then it lets nobody in, tells everyone to go,
 * deregisters, and ends the process with 0. Resolves when players can connect. Settings that cannot be used are said line
 * by line on standard error, and end the process with 2.
 *
 * `SUSTENET_LOG_LEVEL` is debug, info (the default), warn or error.
 */
export async function start(plugin: ServerPlugin, options: StartOptions = {}): Promise<void> {
  const log = createLogger(process.env["SUSTENET_LOG_LEVEL"] ?? "info");
  containStrayErrors(log);
  const cluster = prepare(plugin, options, log);
  if (cluster === undefined) return;
  let ending = false;
  const end = (exitCode: number): void => {
    if (ending) return;
    ending = true;
    void cluster.stop().finally(() => exit(log, exitCode));
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (ending) exit(log, exitCodes.FAILED);
    log.info({ event: "stopping", signal }, `${signal}: stopping; once more to end at once`);
    end(exitCodes.STOPPED);
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  void cluster.superseded.then(() => {
    log.error(
      { event: "superseded" },
      "a newer process with this key and instance has taken over: stopping; two that should both run need different [cluster] instance",
    );
    end(exitCodes.SUPERSEDED);
  });
  try {
    await cluster.start();
  } catch (error) {
    if (error instanceof KeyError || error instanceof ListenError)
      fail(log, error.message, exitCodes.UNUSABLE_SETTINGS);
    log.error({ event: "start-failed", err: error }, "the cluster could not start");
    exit(log, exitCodes.FAILED);
  }
}

function prepare(plugin: ServerPlugin, options: StartOptions, log: ProcessLogger): ClusterServer | undefined {
  const named = options.configFile ?? process.env["SUSTENET_CONFIG"];
  try {
    const { settings, remarks } = loadSettings({
      file: named ?? "Config.toml",
      fileMustExist: named !== undefined,
      environment: process.env,
    });
    for (const remark of remarks) log.warn({ event: "settings" }, remark);
    return createCluster({ settings, plugin, logger: log });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return fail(log, error.message, exitCodes.UNUSABLE_SETTINGS);
  }
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
