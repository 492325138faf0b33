import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Layout } from "../fragments/layout.ts";
import type { Logger } from "../log.ts";
import { ConfigError } from "./config-error.ts";
import type { LoadedSettings } from "./settings.ts";

export interface LayoutWatchOptions {
  readonly file: string;
  /** What all settings come to with this text in the file. Throws ConfigError where no cluster could start with it. */
  readonly load: (text: string) => LoadedSettings;
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
      const loaded = this.#options.load(this.#text ?? "");
      this.#tables = tablesOf(loaded);
      this.#others = othersOf(loaded);
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
      this.#take(this.#options.load(text));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#refuse(error);
    }
  }

  #take(loaded: LoadedSettings): void {
    const { file, log } = this.#options;
    const tables = tablesOf(loaded);
    const others = othersOf(loaded);
    const isSameWorld = tables === this.#tables;
    const isSameElse = others === this.#others;
    this.#others = others;
    if (!isSameWorld) this.#changeWorld(loaded.settings.world, tables);
    if (!isSameElse) {
      const text = `${file} has changed: settings outside of the world take effect at the next start`;
      log.info({ event: "config-changed" }, text);
    } else if (isSameWorld) {
      log.info({ event: "config-unchanged" }, `${file} says nothing new`);
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

  #refuse({ problems, ofWorld }: ConfigError): void {
    const { log } = this.#options;
    for (const problem of problems) {
      if (ofWorld.includes(problem)) log.error({ event: "world-refused" }, `kept the old world: ${problem}`);
      else log.error({ event: "config-refused" }, `nothing of the file was taken over: ${problem}`);
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

function tablesOf({ world }: LoadedSettings): string {
  return JSON.stringify(world?.tables);
}

function othersOf({ given }: LoadedSettings): string {
  const lines = [...given].map(([name, { value }]) => `${name} = ${JSON.stringify(value)}`);
  return lines.toSorted().join("\n");
}
