import type { Logger, LogLevel } from "../log.ts";
import { logLevels } from "../log.ts";
import type { PluginSlot } from "./plugin-slot.ts";
import type { LogEntry } from "./server-plugin.ts";

/** Passes the log on, and gives each line to the plugins that want it. */
export class LogFeed implements Logger {
  readonly #log: Logger;
  readonly #least: number;
  readonly #nowMs: () => number;
  #slots: readonly PluginSlot[] = [];
  /** While plugins are given a line: what that makes them log does not come back to them. */
  #feeding = false;

  constructor(log: Logger, level: LogLevel, nowMs: () => number) {
    this.#log = log;
    this.#least = logLevels.indexOf(level);
    this.#nowMs = nowMs;
  }

  /** From now on these plugins hear of it. */
  attach(slots: readonly PluginSlot[]): void {
    this.#slots = slots.filter((slot) => slot.plugin.onLog !== undefined);
  }

  debug(fields: object, message: string): void {
    this.#log.debug(fields, message);
    this.#feed("debug", fields, message);
  }

  info(fields: object, message: string): void {
    this.#log.info(fields, message);
    this.#feed("info", fields, message);
  }

  warn(fields: object, message: string): void {
    this.#log.warn(fields, message);
    this.#feed("warn", fields, message);
  }

  error(fields: object, message: string): void {
    this.#log.error(fields, message);
    this.#feed("error", fields, message);
  }

  #feed(level: LogEntry["level"], fields: object, message: string): void {
    if (this.#slots.length === 0 || this.#feeding || logLevels.indexOf(level) < this.#least) return;
    const entry: LogEntry = { level, timeMs: this.#nowMs(), message, fields: { ...fields } };
    // What goes wrong in onLog is said on the log alone: else each failure would cause the next.
    if (entry.fields["hook"] === "onLog") return;
    this.#feeding = true;
    try {
      for (const slot of this.#slots) void slot.call("onLog", () => slot.plugin.onLog?.(entry));
    } finally {
      this.#feeding = false;
    }
  }
}

/** The cluster's log, with a plugin's name on each line. */
export function pluginLogger(log: Logger, plugin: string): Logger {
  return {
    debug: (fields, message) => log.debug({ plugin, ...fields }, message),
    info: (fields, message) => log.info({ plugin, ...fields }, message),
    warn: (fields, message) => log.warn({ plugin, ...fields }, message),
    error: (fields, message) => log.error({ plugin, ...fields }, message),
  };
}
