import type { WorldMapView } from "../../protocol/index.ts";
import type { Logger } from "../log.ts";
import { Backoff } from "../backoff.ts";

export interface MapWatchOptions {
  /** Asks the master for the map. Has a deadline. */
  readonly fetch: () => Promise<WorldMapView>;
  /** Told of each map that is newer than the one before. */
  readonly onMap: (map: WorldMapView) => void;
  readonly log: Logger;
  readonly random: () => number;
  /** First and longest wait between two attempts, in ms. */
  readonly retryMs: readonly [number, number];
}

/**
 * Holds the newest map of the world: fetches it whenever the master has told of a version that is newer, again and again until it
 * has come. While the master is away the last one stays in force. [WORLD-4]
 */
export class MapWatch {
  readonly #options: MapWatchOptions;
  #told = -1;
  #held = -1;
  /** Counts registrations: what an earlier one has asked for does not count any more. */
  #era = 0;
  #isFetching = false;
  #retry: NodeJS.Timeout | undefined;
  readonly #backoff: Backoff;

  constructor(options: MapWatchOptions) {
    this.#options = options;
    this.#backoff = new Backoff(...options.retryMs, options.random);
  }

  /** The cluster has registered: whatever the master has now is in force, also if it has begun to count anew. */
  restart(): void {
    this.#era += 1;
    this.#held = -1;
    this.#told = 0;
    this.#settle();
    this.#fetch();
  }

  /** The master has this version. */
  note(version: number): void {
    if (this.#era === 0 || version <= this.#told) return;
    this.#told = version;
    if (this.#retry === undefined) this.#fetch();
  }

  stop(): void {
    this.#era += 1;
    this.#held = Number.POSITIVE_INFINITY;
    this.#settle();
  }

  #fetch(): void {
    if (this.#isFetching || this.#held >= this.#told) return;
    this.#isFetching = true;
    void this.#attempt(this.#era).finally(() => {
      this.#isFetching = false;
      if (this.#retry === undefined) this.#fetch();
    });
  }

  async #attempt(era: number): Promise<void> {
    const { fetch, onMap, log } = this.#options;
    try {
      const map = await fetch();
      if (era !== this.#era) return;
      if (map.version > this.#held) {
        this.#held = map.version;
        onMap(map);
      }
      if (this.#held >= this.#told) return this.#backoff.reset();
    } catch (error) {
      if (era !== this.#era) return;
      const reason = error instanceof Error ? error.message : "it failed";
      log.warn({ event: "world-map-failed" }, `could not fetch the map of the world: ${reason}`);
    }
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#fetch();
    }, this.#backoff.next());
  }

  #settle(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#backoff.reset();
  }
}
