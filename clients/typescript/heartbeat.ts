import { encodePing, type Pong, type Welcome } from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import { ClockSync } from "./clock-sync.ts";

/** Bounds what a cluster can make us do with the intervals that it dictates. */
const minPingIntervalMs = 10;
const minIdleTimeoutMs = 50;

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** Sends a frame; false when it cannot. */
  readonly send: (frame: Uint8Array) => boolean;
  /** Nothing has come for so long. */
  readonly onSilence: (timeoutMs: number) => void;
}

/** Keeps a connection's clock, and notices when its other side is silent. Spec: docs/PROTOCOL.md, section 5.6. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #clockSync = new ClockSync(0, 0);
  #lastHeardMs = 0;
  #cancelPing: () => void = () => undefined;
  #cancelIdle: () => void = () => undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  get rttMs(): number | undefined {
    return this.#clockSync.rttMs;
  }

  /** The cluster's clock now. */
  serverTimeMs(): number {
    return this.#clockSync.timeMs(this.#options.clock.nowMs());
  }

  /** When something last came. */
  get lastHeardMs(): number {
    return this.#lastHeardMs;
  }

  /** Something has come. */
  heard(): void {
    this.#lastHeardMs = this.#options.clock.nowMs();
  }

  /** @param timeMs the cluster's clock, where it has just been told */
  begin({ pingIntervalMs, idleTimeoutMs }: Welcome, timeMs: number | undefined): void {
    if (timeMs !== undefined) this.#clockSync = new ClockSync(timeMs, this.#options.clock.nowMs());
    this.#keepPinging(Math.max(minPingIntervalMs, pingIntervalMs));
    this.#watch(Math.max(minIdleTimeoutMs, idleTimeoutMs));
  }

  /** Whether it answers a PING of ours: then round trip and clock are newer. */
  ponged(pong: Pong): boolean {
    return this.#clockSync.ponged(pong, this.#options.clock.nowMs());
  }

  end(): void {
    this.#cancelPing();
    this.#cancelIdle();
  }

  /** A PING at once, so that the clock is good early, and then again and again. [PING-2] */
  #keepPinging(intervalMs: number): void {
    const { clock, send } = this.#options;
    const nowMs = clock.nowMs();
    if (send(encodePing({ timeMs: nowMs }))) this.#clockSync.pinged(nowMs);
    this.#cancelPing = clock.after(intervalMs, () => this.#keepPinging(intervalMs));
  }

  /** [PING-3] */
  #watch(timeoutMs: number): void {
    const { clock, onSilence } = this.#options;
    const leftMs = this.#lastHeardMs + timeoutMs - clock.nowMs();
    if (leftMs > 0) this.#cancelIdle = clock.after(leftMs, () => this.#watch(timeoutMs));
    else onSilence(timeoutMs);
  }
}
