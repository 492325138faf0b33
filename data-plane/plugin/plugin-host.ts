import { ByteReader, ProtocolError } from "../../protocol/index.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { HookLane } from "./hook-lane.ts";
import type { LeaveReason, Placement, Player } from "./player.ts";
import type { Cluster, ServerPlugin } from "./server-plugin.ts";

export interface PluginHostOptions {
  readonly plugin: ServerPlugin;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly hookTimeoutMs: number;
}

/** What a connection lends the host, so that it can act on the player's behalf. */
export interface LaneOwner {
  /** Stop or go on reading from the player. */
  hold(held: boolean): void;
  /** The player sent a message that the game could not read. */
  malformed(reason: string): void;
}

/** The codes that reading throws: then the peer is at fault, not the plugin. */
const readerFaults: ReadonlySet<string> = new Set(["TRUNCATED", "TRAILING_BYTES", "BAD_UTF8", "BAD_NUMBER"]);

/** Calls the plugin's hooks and keeps whatever they do from everyone else. */
export class PluginHost {
  readonly #options: PluginHostOptions;
  readonly #plugin: ServerPlugin;
  #tickOpen = false;
  /** Lanes of players that have left, whose hooks are not done yet, by player id. */
  readonly #leaving = new Map<string, HookLane>();

  constructor(options: PluginHostOptions) {
    this.#options = options;
    this.#plugin = options.plugin;
  }

  get name(): string {
    return this.#plugin.name ?? "plugin";
  }

  /** Rejects with what `onStart` threw: without its start there is no game to run. */
  async start(cluster: Cluster): Promise<void> {
    await this.#plugin.onStart?.(cluster);
  }

  /** Waits for the hooks of those who left, then tells the plugin that it is over. */
  async stop(): Promise<void> {
    await Promise.all([...this.#leaving.values()].map((lane) => lane.idle()));
    try {
      await this.#plugin.onStop?.();
    } catch (error) {
      this.#report("onStop", error);
    }
  }

  /** The line in which the hooks of a player's session wait; it begins when those of the session before are done. */
  createLane(playerId: string, owner: LaneOwner): HookLane {
    return new HookLane({
      after: this.#leaving.get(playerId),
      timeoutMs: this.#options.hookTimeoutMs,
      onPressure: (high) => owner.hold(high),
      onError: (hook, error) => {
        if (hook === "onMessage" && error instanceof ProtocolError && readerFaults.has(error.code)) {
          owner.malformed(`MESSAGE_${error.code}`);
        } else {
          this.#report(hook, error);
        }
      },
    });
  }

  joined(lane: HookLane, player: Player): void {
    lane.run("onJoin", () => this.#plugin.onJoin?.(player));
  }

  left(lane: HookLane, player: Player, reason: LeaveReason): void {
    lane.run("onLeave", () => this.#plugin.onLeave?.(player, reason));
    if (!lane.busy) return;
    this.#leaving.set(player.id, lane);
    void lane.idle().then(() => {
      if (this.#leaving.get(player.id) === lane) this.#leaving.delete(player.id);
    });
  }

  message(lane: HookLane, player: Player, command: number, payload: Uint8Array): void {
    lane.run("onMessage", () =>
      // A message that had to wait may find its player gone.
      player.connected ? this.#plugin.onMessage?.(player, command, new ByteReader(payload)) : undefined,
    );
  }

  /** Whether the plugin lets the player move. */
  move(player: Player, from: Placement, to: Placement): boolean {
    if (this.#plugin.onMove === undefined) return true;
    try {
      const answer: unknown = this.#plugin.onMove(player, from, to);
      if (answer instanceof Promise) {
        answer.catch((error: unknown) => this.#report("onMove", error));
        throw new TypeError("onMove must answer at once, not with a promise");
      }
      return answer !== false;
    } catch (error) {
      this.#report("onMove", error);
      return false;
    }
  }

  tick(tick: number, dtSeconds: number): void {
    if (this.#plugin.onTick === undefined || this.#tickOpen) return;
    try {
      const done = this.#plugin.onTick(tick, dtSeconds);
      if (!(done instanceof Promise)) return;
      this.#tickOpen = true;
      done
        .catch((error: unknown) => this.#report("onTick", error))
        .finally(() => {
          this.#tickOpen = false;
        });
    } catch (error) {
      this.#report("onTick", error);
    }
  }

  #report(hook: string, error: unknown): void {
    this.#options.metrics.countPluginError(hook);
    this.#options.log.error({ event: "plugin-error", plugin: this.name, hook, err: error }, `plugin failed in ${hook}`);
  }
}
