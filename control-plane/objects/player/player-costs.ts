import {
  encodeLimitWindows,
  type LimitName,
  type Limits,
  type LimitsVerdict,
  type LimitWindows,
  parseLimitWindows,
  spendLimits,
} from "../../domain/limits/limits-policy.ts";
import type { PlayerRow, SessionRow } from "./player-row.ts";

type Allowed = Extract<LimitsVerdict, { readonly allowed: true }>;

/** What one player has asked for lately. It is kept with the session, so counting costs no other object. [SEC-36] */
export class PlayerCosts {
  readonly #row: PlayerRow;
  /** As the row has it, as far as `text` is what the row has. */
  #known: { readonly text: string; readonly windows: LimitWindows } | undefined;

  constructor(row: PlayerRow) {
    this.#row = row;
  }

  /** Counts one against all of `names`, or, when one of them refuses, against none. */
  spend(names: readonly LimitName[], limits: Limits, nowMs: number): LimitsVerdict {
    const verdict = this.weigh(names, limits, nowMs);
    if (verdict.allowed) this.#row.change(this.after(verdict));
    return verdict;
  }

  /** The same, for a caller that writes {@link after} together with something else. */
  weigh(names: readonly LimitName[], limits: Limits, nowMs: number): LimitsVerdict {
    const text = this.#row.values.costs;
    if (this.#known?.text !== text) this.#known = { text, windows: parseLimitWindows(text) };
    return spendLimits(this.#known.windows, names, limits, nowMs);
  }

  /** What changes in the row of the session by what was allowed. */
  after({ windows }: Allowed): Pick<SessionRow, "costs"> {
    const text = encodeLimitWindows(windows);
    this.#known = { text, windows };
    return { costs: text };
  }
}
