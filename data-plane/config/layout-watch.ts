import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Layout } from "../fragments/layout.ts";
import type { Logger } from "../log.ts";
import { ConfigError } from "./config-error.ts";
import { readConfigText } from "./given-values.ts";
import { readWorldSettings } from "./world-settings.ts";

export interface LayoutWatchOptions {
  readonly file: string;
  /** How often to look at the file. */
  readonly checkMs: number;
  /** How long the file has to stay as it is before it counts: half of one may be right as well. */
  readonly settleMs: number;
  readonly log: Logger;
  /** Told of each new layout that can be used. */
  readonly onLayout: (layout: Layout) => void;
  /** Waits, by the clock unless given. */
  readonly wait?: (ms: number) => Promise<unknown>;
}

/**
 * Looks at the file again and again, and takes over what it says of the world while the cluster runs. A file with a fault is
 * refused as a whole, said in the log, and what was before goes on. Other settings are read at the start only.
 */
export class LayoutWatch {
  readonly #options: LayoutWatchOptions;
  #text: string | undefined;
  /** What is in force, as it was written. */
  #tables = "";
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #stopped = false;

  constructor(options: LayoutWatchOptions) {
    this.#options = options;
  }

  /** Takes what the file says now for what is in force. */
  async start(): Promise<void> {
    this.#text = await this.#read();
    this.#tables = tablesOf(this.#options.file, this.#text ?? "") ?? "";
    this.#timer = setInterval(() => void this.check(), this.#options.checkMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** Looks at once. */
  async check(): Promise<void> {
    this.#reading ??= this.#check().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  async #check(): Promise<void> {
    const text = await this.#read();
    // One that cannot be read is perhaps about to be written.
    if (text === undefined || text === this.#text || !(await this.#isWhole(text)) || this.#stopped) return;
    this.#text = text;
    const { file, log, onLayout } = this.#options;
    try {
      const { problems: others, world } = readConfigText(file, text);
      if (world === undefined) return;
      const { layout, problems } = readWorldSettings(world);
      if (others.length + problems.length > 0) throw new ConfigError([...others, ...problems]);
      const tables = JSON.stringify(world.tables);
      if (tables === this.#tables) {
        log.info(
          { event: "config-changed" },
          `${file} has changed: settings outside of the world take effect at the next start`,
        );
        return;
      }
      if (layout === undefined) {
        log.warn({ event: "world-kept" }, `${file} has no world any more: it stays as it is until the next start`);
        return;
      }
      this.#tables = tables;
      onLayout(layout);
      log.info({ event: "world-changed", fragments: layout.fragments.length }, `${file}: the world has a new layout`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) log.error({ event: "world-refused" }, `kept the old world: ${problem}`);
    }
  }

  /** Whether nobody is writing the file now, as far as that can be told; if somebody is, it is for the next look. */
  async #isWhole(text: string): Promise<boolean> {
    const { settleMs, wait = sleep } = this.#options;
    await wait(settleMs);
    return (await this.#read()) === text;
  }

  async #read(): Promise<string | undefined> {
    try {
      return await readFile(this.#options.file, "utf8");
    } catch {
      return undefined;
    }
  }
}

function tablesOf(file: string, text: string): string | undefined {
  try {
    return JSON.stringify(readConfigText(file, text).world?.tables);
  } catch {
    return undefined;
  }
}
