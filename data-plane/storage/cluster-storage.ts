import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "../log.ts";
import {
  isThere,
  markOf,
  readStorageFile,
  reasonOf,
  removeDrafts,
  StorageError,
  type StoredValues,
  writeStorageFile,
} from "./storage-file.ts";
import { lockStorage, type StorageLock } from "./storage-lock.ts";

/** What a plugin keeps on this cluster's disk: bytes by key. Others' keys are not seen. */
export interface PluginStorage {
  /** A copy of the value; `undefined` when there is none. */
  get(key: string): Uint8Array | undefined;
  /**
   * Sets a value, which `get` gives from now on. Resolves with true when it would survive the machine's end, or with false when the
   * disk does not take it, or another cluster has the file: then it stays in memory, and is tried again with the next change. Never rejects.
   *
   * @param key 1 to 128 characters
   * @param value up to 65,536 bytes; it is copied
   * @throws RangeError when key or value does not fit, or when 4,096 keys or 1 MiB would be passed by all plugins together
   */
  set(key: string, value: Uint8Array): Promise<boolean>;
  /** Takes a value away; resolves as {@link set}. */
  delete(key: string): Promise<boolean>;
  /** The plugin's keys, in no order. */
  keys(): readonly string[];
}

export interface StorageLimits {
  readonly maxKeys: number;
  readonly maxKeyLength: number;
  readonly maxValueBytes: number;
  /** Of keys and values together. */
  readonly maxBytes: number;
}

export const storageLimits: StorageLimits = {
  maxKeys: 4_096,
  maxKeyLength: 128,
  maxValueBytes: 65_536,
  maxBytes: 1_048_576,
};

/** How often to try where a folder does not take a lock: it may have been another one a moment ago. */
const lockTries = 3;

interface Change {
  readonly resolve: (kept: boolean) => void;
}

/**
 * The storage of a cluster's plugins: all of it in memory, and in one file, which is written anew after a change. Changes that come while
 * it is written wait for the next time, together. Only one process may use a file: it is locked from the start if it is there, and
 * otherwise with the first change, so that a cluster that keeps nothing makes no folder and stands in nobody's way.
 */
export class ClusterStorage {
  readonly #file: string;
  readonly #log: Logger;
  readonly #limits: StorageLimits;
  #values: StoredValues = new Map();
  #lock: StorageLock | "impossible" | "closed" | undefined;
  /** Of the file as it was read or written here last. */
  #mark: string | undefined;
  #keys = 0;
  #bytes = 0;
  #waiting: Change[] = [];
  #writing: Promise<void> | undefined;
  /** Why it could not be written last; `undefined` when it could. */
  #fault: string | undefined;

  private constructor(file: string, log: Logger, limits: StorageLimits) {
    this.#file = file;
    this.#log = log;
    this.#limits = limits;
  }

  /** @throws StorageError when the file is there and cannot be used, or is in use */
  static async open(file: string, log: Logger, limits: StorageLimits = storageLimits): Promise<ClusterStorage> {
    const storage = new ClusterStorage(file, log, limits);
    try {
      if (await isThere(file)) await storage.#read();
    } catch (error) {
      await storage.close();
      throw error;
    }
    return storage;
  }

  /** A plugin's own part. */
  of(plugin: string): PluginStorage {
    return {
      get: (key) => {
        const value = this.#values.get(plugin)?.get(key);
        return value === undefined ? undefined : new Uint8Array(value);
      },
      set: (key, value) => this.#set(plugin, key, value),
      delete: (key) => this.#delete(plugin, key),
      keys: () => [...(this.#values.get(plugin)?.keys() ?? [])],
    };
  }

  /** Resolves when everything is on the disk, or could not be put there. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Puts on the disk what is not there yet, and lets others have the file; what changes after that stays in memory. */
  async close(): Promise<void> {
    await this.settled();
    await this.#release("closed");
  }

  async #release(then: "closed" | undefined): Promise<void> {
    const lock = this.#lock;
    this.#lock = then;
    if (typeof lock === "object") await lock.release();
  }

  async #read(): Promise<void> {
    await this.#takeLock();
    this.#values = await readStorageFile(this.#file);
    for (const ofPlugin of this.#values.values()) {
      for (const [key, value] of ofPlugin) this.#count(key, value, 1);
    }
    await removeDrafts(this.#file);
    this.#mark = await markOf(this.#file);
  }

  /** @throws StorageError when another process has the file, or its folder was taken away meanwhile */
  async #takeLock(): Promise<void> {
    for (let left = lockTries; this.#lock === undefined; left -= 1) {
      try {
        this.#lock = await lockStorage(this.#file);
      } catch (error) {
        if (error instanceof StorageError) throw error;
        // One that goes in between must not count as one that takes no locks: that is for good.
        const folder = dirname(this.#file);
        if (!(await isThere(folder))) throw new StorageError(`${folder} was taken away meanwhile`, { cause: error });
        if (left > 1) continue;
        this.#lock = "impossible";
        const text =
          `${this.#file} cannot be locked (${reasonOf(error)}): ` +
          "see to it that no other cluster has this state_dir and [cluster] instance";
        this.#log.warn({ event: "storage-not-locked", err: error }, text);
      }
    }
  }

  /** Before each change. @throws Error when the file is not for this process to write */
  async #claim(): Promise<void> {
    if (this.#lock === "closed") throw new StorageError("the cluster has stopped");
    if (typeof this.#lock === "object" && !(await this.#lock.isSeen())) {
      await this.#release(undefined);
      const text = `the lock of ${this.#file} was taken away under this process: it is taken anew, if nobody has come in between`;
      this.#log.warn({ event: "storage-lock-lost" }, text);
    }
    if (this.#lock !== undefined) return;
    await mkdir(dirname(this.#file), { recursive: true });
    await this.#takeLock();
    const mark = await markOf(this.#file);
    if (mark === undefined || mark === this.#mark) return;
    // What is in it was never read here: to write would be to overwrite it.
    await this.#release(undefined);
    throw new StorageError(
      "another cluster has written it meanwhile: start this one again, or give it another instance",
    );
  }

  #set(plugin: string, key: string, value: Uint8Array): Promise<boolean> {
    const { maxKeys, maxKeyLength, maxValueBytes, maxBytes } = this.#limits;
    if (typeof key !== "string" || key.length === 0 || key.length > maxKeyLength || key === "__proto__") {
      throw new RangeError(`a key is 1 to ${maxKeyLength} characters`);
    }
    if (!(value instanceof Uint8Array) || value.length > maxValueBytes) {
      throw new RangeError(`a value is a Uint8Array of at most ${maxValueBytes} bytes`);
    }
    const ofPlugin = this.#values.get(plugin) ?? new Map<string, Uint8Array>();
    const before = ofPlugin.get(key);
    const more = sizeOf(key, value) - (before === undefined ? 0 : sizeOf(key, before));
    if (before === undefined && this.#keys >= maxKeys) throw new RangeError(`a storage has at most ${maxKeys} keys`);
    if (this.#bytes + more > maxBytes) throw new RangeError(`a storage has at most ${maxBytes} bytes`);
    if (before !== undefined) this.#count(key, before, -1);
    ofPlugin.set(key, new Uint8Array(value));
    this.#values.set(plugin, ofPlugin);
    this.#count(key, value, 1);
    return this.#changed();
  }

  #delete(plugin: string, key: string): Promise<boolean> {
    const ofPlugin = this.#values.get(plugin);
    const before = ofPlugin?.get(key);
    if (before !== undefined) {
      ofPlugin?.delete(key);
      this.#count(key, before, -1);
    }
    return this.#changed();
  }

  #count(key: string, value: Uint8Array, sign: 1 | -1): void {
    this.#keys += sign;
    this.#bytes += sign * sizeOf(key, value);
  }

  #changed(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ resolve });
    this.#writing ??= this.#write();
    return promise;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      // What else changes in this turn goes along.
      await Promise.resolve();
      const changes = this.#waiting.splice(0);
      let kept = true;
      try {
        await this.#claim();
        await writeStorageFile(this.#file, this.#values);
        this.#mark = await markOf(this.#file);
      } catch (error) {
        kept = false;
        this.#note(error);
      }
      if (kept) this.#noteWritten();
      for (const { resolve } of changes) resolve(kept);
    }
    this.#writing = undefined;
  }

  /** Once for a reason: a plugin may change something with every tick. */
  #note(error: unknown): void {
    const reason = reasonOf(error);
    // What the system says names a file that is another one each time.
    const fault = error instanceof Error && "code" in error ? String(error.code) : reason;
    if (fault === this.#fault) return;
    this.#fault = fault;
    const text = `what plugins keep cannot be written to ${this.#file}, and stays in memory until it can: ${reason}`;
    this.#log.error({ event: "storage-failed", err: error }, text);
  }

  #noteWritten(): void {
    if (this.#fault === undefined) return;
    this.#fault = undefined;
    this.#log.info({ event: "storage-written" }, `what plugins keep can be written to ${this.#file} again`);
  }
}

function sizeOf(key: string, value: Uint8Array): number {
  return Buffer.byteLength(key) + value.length;
}
