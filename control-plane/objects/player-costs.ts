import {
  encodeLimitWindows,
  type LimitName,
  type Limits,
  type LimitsVerdict,
  type LimitWindows,
  parseLimitWindows,
  spendLimits,
} from "../domain/limits-policy.ts";

/** What one player has asked for lately. It is kept with the session, so counting costs no other object. [SEC-36] */
export class PlayerCosts {
  readonly #sql: SqlStorage;
  #windows: LimitWindows | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Counts one against all of `names`, or, when one of them refuses, against none. */
  spend(names: readonly LimitName[], limits: Limits, nowMs: number): LimitsVerdict {
    this.#windows ??= this.#read();
    const verdict = spendLimits(this.#windows, names, limits, nowMs);
    if (verdict.allowed) {
      this.#windows = verdict.windows;
      this.#sql.exec("UPDATE session SET costs = ?", encodeLimitWindows(verdict.windows));
    }
    return verdict;
  }

  #read(): LimitWindows {
    return parseLimitWindows(this.#sql.exec<{ costs: string }>("SELECT costs FROM session").one().costs);
  }
}
