import { DurableObject } from "cloudflare:workers";
import {
  encodeLimitWindows,
  type LimitName,
  type LimitWindows,
  memoryMs,
  parseLimitWindows,
  spendLimits,
} from "../domain/limits/limits-policy.ts";
import { readLimits } from "../limit-settings.ts";
import { retryAlarm } from "./alarm.ts";

/** Whether an attempt may go on, or when the next one may. */
export type AttemptAnswer =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly retryAfterSeconds: number };

const windowsKey = "windows";

/**
 * Counts the attempts of one subject: an address, an account, a device, a player. Each has an object of its own, so nothing is
 * global, and the object of a subject that is quiet for a period removes itself.
 */
export class RateLimiter extends DurableObject<Env> {
  #windows: LimitWindows | undefined;

  /** Counts an attempt against all of `names`, or, when one of them refuses it, against none. */
  async attempt(names: readonly LimitName[]): Promise<AttemptAnswer> {
    const { storage } = this.ctx;
    const limits = readLimits(this.env);
    const nowMs = Date.now();
    this.#windows ??= parseLimitWindows(storage.kv.get<string>(windowsKey) ?? "");
    const verdict = spendLimits(this.#windows, names, limits, nowMs);
    if (!verdict.allowed) return { allowed: false, retryAfterSeconds: verdict.retryAfterSeconds };
    this.#windows = verdict.windows;
    storage.kv.put(windowsKey, encodeLimitWindows(verdict.windows));
    const forgetMs = memoryMs(names, limits);
    // Later than it need be, so that it is not written anew with every attempt.
    if (((await storage.getAlarm()) ?? 0) < nowMs + forgetMs) await storage.setAlarm(nowMs + 2 * forgetMs);
    return { allowed: true };
  }

  override async alarm(): Promise<void> {
    try {
      this.#windows = undefined;
      await this.ctx.storage.deleteAll();
    } catch (error) {
      await retryAlarm(this.ctx.storage, error);
    }
  }
}
