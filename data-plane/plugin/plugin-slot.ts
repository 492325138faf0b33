import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { Breaker, type BreakerRules, type BreakerState } from "./breaker.ts";
import { hookMark, hookNames, type HookName, type HookWatch } from "./hook-names.ts";
import type { ServerPlugin } from "./server-plugin.ts";
import { unknownHooks } from "./unknown-hooks.ts";

/** What a call came to when its hook threw, rejected or did not end in time. */
export const failed = Symbol("failed");
/** What a call came to when the hook is switched off. */
export const switchedOff = Symbol("switched off");

/** Bounds on what a hook may take. */
export interface HookLimits {
  /** For an asynchronous one to end. */
  readonly timeoutMs: number;
  /** For the part that holds up everybody; more is reported. */
  readonly budgetMs: number;
  /** The same, from which on it counts as a failure. */
  readonly stallMs: number;
  readonly breaker: BreakerRules;
}

export interface PluginSlotOptions {
  readonly plugin: ServerPlugin;
  readonly index: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limits: HookLimits;
  readonly watch: HookWatch;
  readonly nowMs: () => number;
  readonly playerCount: () => number;
}

/** What is particular about a call. */
export interface CallOptions {
  /** Whose call it is, where it is a player's. */
  readonly playerId?: string;
  /** Takes an error that is the player's fault and not the plugin's: then true. */
  readonly takes?: (error: unknown) => boolean;
  /** For an asynchronous hook to end, instead of {@link HookLimits.timeoutMs}. */
  readonly timeoutMs?: number;
}

/** A reading of one hook's record. */
export interface HookRecord {
  readonly plugin: string;
  readonly hook: HookName;
  readonly failures: number;
  /** Calls that held up everybody for longer than the budget. */
  readonly slow: number;
  /** By how much, in all. */
  readonly overBudgetSeconds: number;
  /** Time that it held up everybody, in all. */
  readonly seconds: number;
  /** Calls that were left out because the hook is switched off. */
  readonly leftOut: number;
  readonly breaker: BreakerState;
}

/** Least time between two log lines about the same trouble with the same hook. */
const logIntervalMs = 1_000;

class Circuit {
  readonly breaker: Breaker;
  /** For the watch. */
  readonly mark: number;
  failures = 0;
  slow = 0;
  overBudgetMs = 0;
  busyMs = 0;
  leftOut = 0;
  failureLineAtMs = Number.NEGATIVE_INFINITY;
  slowLineAtMs = Number.NEGATIVE_INFINITY;
  failuresUnsaid = 0;

  constructor(rules: BreakerRules, nowMs: () => number, mark: number) {
    this.breaker = new Breaker(rules, nowMs);
    this.mark = mark;
  }
}

/** One plugin's place in the cluster: calls its hooks, and keeps whatever they do from everyone else. */
export class PluginSlot {
  readonly plugin: ServerPlugin;
  readonly name: string;
  readonly log: Logger;
  /** While the promise of an `onTick` is open. */
  tickOpen = false;
  readonly #options: PluginSlotOptions;
  readonly #circuits = new Map<HookName, Circuit>();

  constructor(options: PluginSlotOptions) {
    this.#options = options;
    this.plugin = options.plugin;
    this.log = options.log;
    this.name = pluginName(options.plugin, options.index);
  }

  /**
   * Runs a hook. Nothing that it does comes out of here, save what it returns; a promise that it returns has become one
   * that never rejects and ends in time.
   *
   * @returns what the hook returned, or {@link failed}, or {@link switchedOff}; or a promise of the first two
   */
  call(hook: HookName, run: () => unknown, options?: CallOptions): unknown {
    const { nowMs, watch, limits } = this.#options;
    const circuit = this.#circuit(hook);
    if (!circuit.breaker.admit()) {
      circuit.leftOut += 1;
      return switchedOff;
    }
    const before = watch.enter(circuit.mark);
    const startedAtMs = nowMs();
    let result: unknown;
    try {
      result = run();
    } catch (error) {
      watch.leave(before);
      this.#clock(hook, circuit, nowMs() - startedAtMs);
      return this.#fault(hook, circuit, error, options);
    }
    watch.leave(before);
    const tookMs = nowMs() - startedAtMs;
    this.#clock(hook, circuit, tookMs);
    if (isPromiseLike(result)) return this.#contain(hook, circuit, result, options);
    if (tookMs > limits.stallMs) {
      this.#fail(hook, circuit, new Error(`held up everybody for ${Math.round(tookMs)} ms`), options);
    } else {
      circuit.breaker.succeeded();
    }
    return result;
  }

  /** Logs what the plugin has that looks like a hook and is none. */
  sayUnknownHooks(): void {
    for (const { name, meant } of unknownHooks(this.plugin)) {
      const text = `plugin ${this.name} has ${name}, which is no hook: the cluster never calls it`;
      this.log.warn(
        { event: "plugin-unknown-hook", plugin: this.name, hook: name },
        meant === undefined ? text : `${text}; did you mean ${meant}?`,
      );
    }
  }

  /** Counts a failure that shows only in what a hook returned. */
  report(hook: HookName, error: Error): void {
    this.#fail(hook, this.#circuit(hook), error, undefined);
  }

  get records(): readonly HookRecord[] {
    return hookNames.flatMap((hook) => {
      const circuit = this.#circuits.get(hook);
      if (circuit === undefined) return [];
      const { failures, slow, leftOut, breaker, overBudgetMs, busyMs } = circuit;
      return {
        plugin: this.name,
        hook,
        failures,
        slow,
        leftOut,
        overBudgetSeconds: overBudgetMs / 1_000,
        seconds: busyMs / 1_000,
        breaker: breaker.state,
      };
    });
  }

  async #contain(
    hook: HookName,
    circuit: Circuit,
    open: PromiseLike<unknown>,
    options?: CallOptions,
  ): Promise<unknown> {
    const timeoutMs = options?.timeoutMs ?? this.#options.limits.timeoutMs;
    const { promise: timeout, reject: onTimeout } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => onTimeout(new Error(`not done after ${timeoutMs} ms; the next one goes ahead`)),
      timeoutMs,
    );
    try {
      const result = await Promise.race([open, timeout]);
      circuit.breaker.succeeded();
      return result;
    } catch (error) {
      return this.#fault(hook, circuit, error, options);
    } finally {
      clearTimeout(timer);
    }
  }

  #circuit(hook: HookName): Circuit {
    let circuit = this.#circuits.get(hook);
    if (circuit === undefined) {
      const { limits, nowMs, index } = this.#options;
      circuit = new Circuit(limits.breaker, nowMs, hookMark(index, hook));
      this.#circuits.set(hook, circuit);
    }
    return circuit;
  }

  #fault(hook: HookName, circuit: Circuit, error: unknown, options: CallOptions | undefined): typeof failed {
    if (options?.takes?.(error) === true) circuit.breaker.succeeded();
    else this.#fail(hook, circuit, error, options);
    return failed;
  }

  #fail(hook: HookName, circuit: Circuit, error: unknown, options: CallOptions | undefined): void {
    const { metrics, nowMs, log, playerCount } = this.#options;
    circuit.failures += 1;
    circuit.failuresUnsaid += 1;
    metrics.countPluginError(hook);
    const opened = circuit.breaker.failed(options?.playerId, playerCount());
    if (opened || nowMs() - circuit.failureLineAtMs >= logIntervalMs) {
      const fields = { event: "plugin-error", plugin: this.name, hook, count: circuit.failuresUnsaid, err: error };
      circuit.failureLineAtMs = nowMs();
      circuit.failuresUnsaid = 0;
      log.error(fields, `plugin failed in ${hook}`);
    }
    if (!opened) return;
    const text = `${hook} of plugin ${this.name} keeps failing: switched off for a while`;
    log.error({ event: "plugin-switched-off", plugin: this.name, hook }, text);
  }

  #clock(hook: HookName, circuit: Circuit, tookMs: number): void {
    const { limits, nowMs, log } = this.#options;
    circuit.busyMs += tookMs;
    if (tookMs <= limits.budgetMs) return;
    circuit.slow += 1;
    circuit.overBudgetMs += tookMs - limits.budgetMs;
    if (nowMs() - circuit.slowLineAtMs < logIntervalMs) return;
    circuit.slowLineAtMs = nowMs();
    const fields = { event: "plugin-slow", plugin: this.name, hook, tookMs: Math.round(tookMs), slow: circuit.slow };
    log.warn(
      fields,
      `plugin held up everybody for ${Math.round(tookMs)} ms in ${hook}, ${limits.budgetMs} ms is its budget`,
    );
  }
}

/** What a plugin is called, with a name of its own or without. */
export function pluginName(plugin: ServerPlugin, index: number): string {
  return plugin.name ?? (index === 0 ? "plugin" : `plugin-${index + 1}`);
}

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
