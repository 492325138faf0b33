import type { CarryChange } from "../fragments/carry-change.ts";
import {
  ByteReader,
  type CloseCode,
  isCloseCode,
  limits as protocolLimits,
  ProtocolError,
  type RequestHandler,
} from "../../protocol/index.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";
import { within } from "../within.ts";
import type { ThresholdChange } from "./entities.ts";
import { HookLane, type LaneOwner, type LaneRules } from "./hook-lane.ts";
import { hookMark, type HookWatch } from "./hook-names.ts";
import { pluginLogger } from "./log-feed.ts";
import type { Mail } from "./mail.ts";
import type { LeaveReason, Placement, Player } from "./player.ts";
import {
  type CallOptions,
  failed,
  type HookLimits,
  type HookRecord,
  isPromiseLike,
  PluginSlot,
  switchedOff,
} from "./plugin-slot.ts";
import { PluginTimers } from "./plugin-timers.ts";
import type { Cluster, Newcomer, ServerPlugin } from "./server-plugin.ts";

export interface PluginHostOptions {
  /** In the order in which they are asked. */
  readonly plugins: readonly ServerPlugin[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limits: HookLimits;
  readonly watch: HookWatch;
  readonly nowMs: () => number;
  readonly playerCount: () => number;
}

/** Hooks that stand in a player's line. */
type LaneHook = "onJoin" | "onDrop" | "onResume" | "onLeave" | "onMessage" | "onEnterFragment" | "onLeaveFragment";

/** The codes that reading throws: then the peer is at fault, not the plugin. */
const readerFaults: ReadonlySet<string> = new Set(["TRUNCATED", "TRAILING_BYTES", "BAD_UTF8", "BAD_NUMBER"]);

/** Calls the plugins' hooks in order, and keeps whatever they do from everyone else. */
export class PluginHost {
  readonly slots: readonly PluginSlot[];
  readonly #options: PluginHostOptions;
  readonly #timers: readonly PluginTimers[];
  readonly #laneRules: LaneRules;
  /** Lanes of players that have left, whose hooks are not done yet, by player id. */
  readonly #leaving = new Map<string, HookLane>();

  constructor(options: PluginHostOptions) {
    this.#options = options;
    this.slots = options.plugins.map((plugin, index) => new PluginSlot({ ...options, plugin, index }));
    assertNames(this.slots);
    this.#timers = this.slots.map((slot) => new PluginTimers((callback) => slot.call("timer", callback)));
    const { limits, metrics, log } = options;
    this.#laneRules = {
      // Each plugin's own time runs out before.
      timeoutMs: limits.timeoutMs * this.slots.length + 1_000,
      onError: (hook, error) => {
        metrics.countPluginError(hook);
        log.error({ event: "hook-lane-failed", hook, err: error }, `hooks of a player are held up in ${hook}`);
      },
      takes: (owner, error) => {
        if (!(error instanceof ProtocolError) || !readerFaults.has(error.code)) return false;
        owner.malformed(`MESSAGE_${error.code}`);
        return true;
      },
    };
  }

  /** What every hook has done so far. */
  get records(): readonly HookRecord[] {
    return this.slots.flatMap((slot) => slot.records);
  }

  /**
   * Rejects with what an `onStart` threw: without its start there is no game to run.
   *
   * @param createView makes what a plugin sees of the cluster
   */
  async start(createView: (log: Logger, timers: PluginTimers, plugin: string) => Cluster): Promise<void> {
    const { watch } = this.#options;
    for (const slot of this.slots) slot.sayUnknownHooks();
    for (const [index, slot] of this.slots.entries()) {
      const view = createView(
        pluginLogger(slot.log, slot.name),
        this.#timers[index] ?? new PluginTimers(() => undefined),
        slot.name,
      );
      const before = watch.enter(hookMark(index, "onStart"));
      let started: unknown;
      try {
        started = slot.plugin.onStart?.(view);
      } finally {
        watch.leave(before);
      }
      await this.#patient(slot, started);
    }
  }

  /** A start may take its time, as to load a map; who waits for it is told what for. */
  async #patient(slot: PluginSlot, started: unknown): Promise<void> {
    const say = (): void => {
      const text = `onStart of plugin ${slot.name} is not done yet: nobody can join before it is`;
      slot.log.warn({ event: "plugin-starting", plugin: slot.name }, text);
    };
    const timer = setInterval(say, this.#options.limits.timeoutMs);
    try {
      await started;
    } finally {
      clearInterval(timer);
    }
  }

  /** Tells the plugins that the end is near, and waits until they are ready for it, within the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    await Promise.all(
      this.slots.map((slot) =>
        slot.plugin.onDrain === undefined
          ? undefined
          : slot.call("onDrain", () => slot.plugin.onDrain?.(deadlineMs), { timeoutMs: deadlineMs }),
      ),
    );
  }

  /**
   * Waits for the hooks of those who left, then tells the plugins that it is over, the last one first. Those hooks get half of the time at
   * most, and each plugin its share of what is left: one that never ends takes nobody else's.
   */
  async stop(timeoutMs: number): Promise<void> {
    const { nowMs, limits } = this.#options;
    const endsAtMs = nowMs() + timeoutMs;
    await within(timeoutMs / 2, this.#left());
    const stopping = this.slots.filter(({ plugin }) => plugin.onStop !== undefined).toReversed();
    for (const [index, slot] of stopping.entries()) {
      const share = Math.max(0, Math.floor((endsAtMs - nowMs()) / (stopping.length - index)));
      await slot.call("onStop", () => slot.plugin.onStop?.(), { timeoutMs: Math.min(limits.timeoutMs, share) });
    }
    this.end();
  }

  /** Resolves when the hooks of those who left are done. */
  async #left(): Promise<void> {
    await Promise.all([...this.#leaving.values()].map((lane) => lane.idle()));
  }

  /** No timer calls back any more. */
  end(): void {
    for (const timers of this.#timers) timers.end();
  }

  /** Why a player may not join, or `undefined`; a promise only if a plugin takes its time. */
  auth(newcomer: Newcomer): CloseCode | undefined | Promise<CloseCode | undefined> {
    return this.#askFrom(0, newcomer);
  }

  #askFrom(first: number, newcomer: Newcomer): CloseCode | undefined | Promise<CloseCode | undefined> {
    for (let index = first; index < this.slots.length; index += 1) {
      const slot = this.slots[index];
      if (slot?.plugin.onAuth === undefined) continue;
      let verdict: CloseCode | undefined;
      const take = (answer: unknown): void => {
        verdict = assertVerdict(answer);
      };
      const ask = (): unknown => {
        const answer = slot.plugin.onAuth?.(newcomer);
        // What a thenable's own `then` returns says nothing: it may be nothing at all.
        return isPromiseLike(answer) ? Promise.resolve(answer).then(take) : take(answer);
      };
      const result = slot.call("onAuth", ask, { playerId: newcomer.id });
      if (isPromiseLike(result)) {
        return Promise.resolve(result).then((end) =>
          end === failed ? "INTERNAL" : (verdict ?? this.#askFrom(index + 1, newcomer)),
        );
      }
      if (result === failed || result === switchedOff) return "INTERNAL";
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  /** The line in which the hooks of a player's session wait; it begins when those of the session before are done. */
  createLane(owner: LaneOwner): HookLane {
    return new HookLane(this.#laneRules, owner, this.#leaving.get(owner.id));
  }

  /** Whether some plugin wants to know what was saved of players. */
  get loads(): boolean {
    return this.slots.some(({ plugin }) => plugin.onLoad !== undefined);
  }

  /**
   * @param read what was saved; asked when the hook's turn comes, and not at all where its player has gone
   * @param onFailed told when a plugin has not taken it: its hook failed, or is switched off
   */
  loaded(lane: HookLane, player: Player, read: () => Uint8Array | undefined, onFailed: () => void): void {
    lane.run("onLoad", () => {
      if (!player.connected) return undefined;
      const data = read();
      const copy = (): Uint8Array | undefined => (data === undefined ? undefined : new Uint8Array(data));
      return this.#loadFrom(0, (plugin) => plugin.onLoad?.(player, copy()), player.id, onFailed);
    });
  }

  #loadFrom(first: number, call: (plugin: ServerPlugin) => unknown, playerId: string, onFailed: () => void): unknown {
    for (let index = first; index < this.slots.length; index += 1) {
      const slot = this.slots[index];
      if (slot?.plugin.onLoad === undefined) continue;
      const result = slot.call("onLoad", () => call(slot.plugin), { playerId });
      if (isPromiseLike(result)) {
        return result.then((end) => {
          if (end === failed) onFailed();
          return this.#loadFrom(index + 1, call, playerId, onFailed);
        });
      }
      if (result === failed || result === switchedOff) onFailed();
    }
    return undefined;
  }

  joined(lane: HookLane, player: Player): void {
    this.#run("onJoin", lane, player, (plugin) => plugin.onJoin?.(player));
  }

  left(lane: HookLane, player: Player, reason: LeaveReason): void {
    this.#run("onLeave", lane, player, (plugin) => plugin.onLeave?.(player, reason));
    if (!lane.busy) return;
    this.#leaving.set(player.id, lane);
    void lane.idle().then(() => {
      if (this.#leaving.get(player.id) === lane) this.#leaving.delete(player.id);
    });
  }

  /**
   * What the plugins give along with a player that is about to move; `undefined` when one of them fails: then it stays, and those that
   * had given it up have been told.
   */
  migrateOut(lane: HookLane, player: JoinedPlayer): ReadonlyMap<string, Uint8Array> | undefined {
    const parts = new Map<string, Uint8Array>();
    const asked: PluginSlot[] = [];
    for (const slot of this.slots) {
      if (slot.plugin.onMigrateOut === undefined) continue;
      const part = slot.call("onMigrateOut", () => slot.plugin.onMigrateOut?.(player), { playerId: player.id });
      if (part instanceof Uint8Array) parts.set(slot.name, Uint8Array.from(part));
      else if (part !== undefined) {
        if (part !== failed && part !== switchedOff) {
          slot.report("onMigrateOut", new TypeError("onMigrateOut must give bytes, or nothing, at once"));
        }
        this.migrateIn(lane, player, parts, asked);
        return undefined;
      }
      asked.push(slot);
    }
    return parts;
  }

  /** The player goes on here, with what its plugins gave along. */
  migrateIn(
    lane: HookLane,
    player: JoinedPlayer,
    parts: ReadonlyMap<string, Uint8Array>,
    slots: readonly PluginSlot[] = this.slots,
  ): void {
    const takers = slots.filter(({ plugin }) => plugin.onMigrateIn !== undefined);
    // One that has left as others were asked to give it up, or itself, is out for good: they have been told.
    if (takers.length > 0 && player.connected) lane.run("onMigrateIn", () => this.#takeIn(takers, player, parts));
  }

  /** One after another; a promise only where a plugin takes its time. */
  #takeIn(
    takers: readonly PluginSlot[],
    player: JoinedPlayer,
    parts: ReadonlyMap<string, Uint8Array>,
  ): void | Promise<void> {
    for (const [index, slot] of takers.entries()) {
      const take = (): unknown => slot.plugin.onMigrateIn?.(player, parts.get(slot.name));
      const result = slot.call("onMigrateIn", take, { playerId: player.id });
      const goOn = (end: unknown): void | Promise<void> => {
        if (end === failed || end === switchedOff) return player.endUnread();
        return this.#takeIn(takers.slice(index + 1), player, parts);
      };
      if (isPromiseLike(result)) return Promise.resolve(result).then(goOn);
      if (result === failed || result === switchedOff) return player.endUnread();
    }
    return undefined;
  }

  /** The payload and, before it, the command lie in `bytes` from `start` to `end`. */
  message(lane: HookLane, player: Player, bytes: Uint8Array, start: number, end: number): void {
    const call = (plugin: ServerPlugin): unknown =>
      // A message that had to wait may find its player gone.
      player.connected
        ? plugin.onMessage?.(player, bytes[start] ?? 0, new ByteReader(bytes, start + 1, end))
        : undefined;
    if (!lane.enter()) return this.#run("onMessage", lane, player, call);
    // Nearly always its turn is now: then it costs no more than this one closure.
    let result: unknown;
    try {
      result = this.#callFrom(0, "onMessage", call, lane);
    } catch (error) {
      result = Promise.reject(error);
    }
    lane.leave("onMessage", result);
  }

  dropped(lane: HookLane, player: Player): void {
    this.#run("onDrop", lane, player, (plugin) => plugin.onDrop?.(player));
  }

  resumed(lane: HookLane, player: Player): void {
    this.#run("onResume", lane, player, (plugin) => plugin.onResume?.(player));
  }

  enterFragment(player: JoinedPlayer, fragment: string): void {
    this.#run("onEnterFragment", player.lane, player, (plugin) => plugin.onEnterFragment?.(player, fragment));
  }

  leaveFragment(player: JoinedPlayer, fragment: string): void {
    this.#run("onLeaveFragment", player.lane, player, (plugin) => plugin.onLeaveFragment?.(player, fragment));
  }

  carry(change: CarryChange): void {
    for (const slot of this.slots) {
      if (slot.plugin.onCarry !== undefined) slot.call("onCarry", () => slot.plugin.onCarry?.(change));
    }
  }

  threshold(change: ThresholdChange): void {
    for (const slot of this.slots) {
      if (slot.plugin.onThreshold !== undefined) slot.call("onThreshold", () => slot.plugin.onThreshold?.(change));
    }
  }

  /** Handles a player's requests: each begins in line with its messages, and holds none of them up. */
  requestHandler(lane: HookLane, player: Player): RequestHandler | undefined {
    if (this.slots.every((slot) => slot.plugin.onRequest === undefined)) return undefined;
    return (command, payload, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
      lane.run("onRequest", () => {
        this.#answer(lane, player, command, payload, signal).then(resolve, reject);
      });
      return promise;
    };
  }

  /** The answer of the first plugin that has one. Rejects when a plugin failed before. */
  async #answer(
    lane: HookLane,
    player: Player,
    command: number,
    payload: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const options: CallOptions = {
      playerId: lane.playerId,
      timeoutMs: protocolLimits.maxRequestMs,
      // Who was told that nobody waits may stop in any way.
      takes: (error) => signal.aborted || lane.takes(error),
    };
    for (const slot of this.slots) {
      if (slot.plugin.onRequest === undefined || signal.aborted) continue;
      const ask = (): unknown => slot.plugin.onRequest?.(player, command, new ByteReader(payload), signal);
      const answer = await slot.call("onRequest", ask, options);
      if (answer instanceof Uint8Array) return answer;
      if (answer !== undefined) throw new Error(`${slot.name} could not answer`);
    }
    return undefined;
  }

  /** Whether the plugins let the player move: all have to. */
  move(player: Player, from: Placement, to: Placement): boolean {
    for (const slot of this.slots) {
      if (slot.plugin.onMove === undefined) continue;
      const answer = slot.call("onMove", () => slot.plugin.onMove?.(player, from, to), { playerId: player.id });
      if (isPromiseLike(answer)) {
        slot.report("onMove", new TypeError("onMove must answer at once, not with a promise"));
        return false;
      }
      if (answer === false || answer === failed) return false;
    }
    return true;
  }

  /** Whether mail goes on to its player: some plugin takes mail, and none of those that do keeps it back. [MAIL-5] */
  mail(player: Player, mail: Mail): boolean {
    let taken = false;
    for (const slot of this.slots) {
      if (slot.plugin.onMail === undefined) continue;
      const answer = slot.call("onMail", () => slot.plugin.onMail?.(player, mail), { playerId: player.id });
      if (isPromiseLike(answer)) {
        slot.report("onMail", new TypeError("onMail must answer at once, not with a promise"));
        return false;
      }
      if (answer === false || answer === failed || answer === switchedOff) return false;
      taken = true;
    }
    return taken;
  }

  tick(tick: number, dtSeconds: number): void {
    for (const slot of this.slots) {
      if (slot.plugin.onTick === undefined || slot.tickOpen) continue;
      const done = slot.call("onTick", () => slot.plugin.onTick?.(tick, dtSeconds));
      if (!(done instanceof Promise)) continue;
      slot.tickOpen = true;
      void done.finally(() => {
        slot.tickOpen = false;
      });
    }
  }

  /** Puts a hook of all plugins in a player's line. */
  #run(hook: LaneHook, lane: HookLane, player: Player, call: (plugin: ServerPlugin) => unknown): void {
    // Only in a message can bytes be wrong: elsewhere what reading throws is the plugin's own fault.
    const options = hook === "onMessage" ? lane : { playerId: player.id };
    lane.run(hook, () => this.#callFrom(0, hook, call, options));
  }

  /** Asynchronous only where a plugin is. */
  #callFrom(first: number, hook: LaneHook, call: (plugin: ServerPlugin) => unknown, options?: CallOptions): unknown {
    for (let index = first; index < this.slots.length; index += 1) {
      const slot = this.slots[index];
      if (slot?.plugin[hook] === undefined) continue;
      const result = slot.call(hook, () => call(slot.plugin), options);
      if (isPromiseLike(result)) {
        return result.then((value) =>
          value === true && hook === "onMessage" ? undefined : this.#callFrom(index + 1, hook, call, options),
        );
      }
      if (result === true && hook === "onMessage") return undefined;
    }
    return undefined;
  }
}

/** What an `onAuth` has answered. Only the compiler keeps other answers out, and a game in JavaScript has none. @throws TypeError */
function assertVerdict(answer: unknown): CloseCode | undefined {
  if (answer === undefined || answer === null) return undefined;
  if (isCloseCode(answer)) return answer;
  throw new TypeError(`onAuth must return a code, as "NOT_ALLOWED", or nothing, not ${JSON.stringify(answer)}`);
}

/** @throws RangeError where two have one name: what is kept of them, and what goes along with players, goes by it */
function assertNames(slots: readonly PluginSlot[]): void {
  const names = new Set<string>();
  for (const { name } of slots) {
    if (names.has(name)) throw new RangeError(`two plugins are called "${name}": give each a name of its own`);
    names.add(name);
  }
}
