import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Layout } from "../fragments/layout.ts";
import type { Logger } from "../log.ts";
import { ConfigError } from "./config-error.ts";
import { type GivenValues, readConfigText } from "./given-values.ts";
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
  /** All else that the file said when it was last taken, as it was written. */
  #others = "";
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #stopped = false;

  constructor(options: LayoutWatchOptions) {
    this.#options = options;
  }

  /** Takes what the file says now for what is in force. */
  async start(): Promise<void> {
    this.#text = await this.#read();
    try {
      const given = readConfigText(this.#options.file, this.#text ?? "");
      this.#tables = tablesOf(given);
      this.#others = othersOf(given);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
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
    try {
      this.#take(readConfigText(this.#options.file, text));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#refuse(error.problems);
    }
  }

  #take(given: GivenValues): void {
    if (given.world === undefined) return;
    const { file, log } = this.#options;
    const { layout, problems } = readWorldSettings(given.world);
    if (given.problems.length + problems.length > 0) {
      this.#refuse(given.problems);
      for (const problem of problems) log.error({ event: "world-refused" }, `kept the old world: ${problem}`);
      return;
    }
    const tables = tablesOf(given);
    const others = othersOf(given);
    const isSameWorld = tables === this.#tables;
    const isSameElse = others === this.#others;
    this.#others = others;
    if (!isSameWorld) this.#changeWorld(layout, tables);
    if (isSameWorld || !isSameElse) {
      const text = `${file} has changed: settings outside of the world take effect at the next start`;
      log.info({ event: "config-changed" }, text);
    }
  }

  #changeWorld(layout: Layout | undefined, tables: string): void {
    const { file, log, onLayout } = this.#options;
    if (layout === undefined) {
      log.warn({ event: "world-kept" }, `${file} has no world any more: it stays as it is until the next start`);
      return;
    }
    this.#tables = tables;
    onLayout(layout);
    log.info({ event: "world-changed", fragments: layout.fragments.length }, `${file}: the world has a new layout`);
  }

  /** Says what is wrong with the file outside of its world. */
  #refuse(problems: readonly string[]): void {
    for (const problem of problems) {
      this.#options.log.error({ event: "config-refused" }, `nothing of the file was taken over: ${problem}`);
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

function tablesOf({ world }: GivenValues): string {
  return JSON.stringify(world?.tables);
}

function othersOf({ values }: GivenValues): string {
  const lines = [...values].map(([name, { value }]) => `${name} = ${JSON.stringify(value)}`);
  return lines.toSorted().join("\n");
}
