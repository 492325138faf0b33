import { type ContenderName, contenderTitles } from "./contenders/contender.ts";
import type { Measured } from "./window.ts";
import { median, significant, spread } from "./statistics.ts";

/** One comparison, as bench/results.json has it. Both sides are from the same run. */
export interface Row {
  /** Scenario and peer: unique. */
  readonly name: string;
  readonly scenario: string;
  /** The peer. */
  readonly against: string;
  /** Medians; `null` when nothing could be measured. */
  readonly ours: number | null;
  readonly peer: number | null;
  readonly unit: string;
  /** `ours / peer`: smaller is better for us. */
  readonly ratio: number | null;
  /** Greatest ratio that is good enough; `null`: only shown beside. */
  readonly goal: number | null;
  readonly meets: boolean | null;
  /** Why the row says nothing; `null` when it does. Then `ratio` and `meets` are not to be used. */
  readonly void: string | null;
  /** Half the distance between the least and the greatest value, as a share of the median; `null` where there is one value alone. */
  readonly oursSpread: number | null;
  readonly peerSpread: number | null;
  readonly oursDetail: Detail;
  readonly peerDetail: Detail;
  readonly measuredAt: string;
}

/** Numbers behind a side, by name. */
export type Detail = Readonly<Record<string, number | readonly number[]>>;

/** What a contender came to in one scenario. */
export interface Outcome {
  readonly values: readonly number[];
  readonly void: string | undefined;
  readonly detail: Detail;
}

/** Whom we are compared with, and the greatest ratio that will do. */
export interface Comparison {
  readonly peer: ContenderName;
  /** Which of ours; `sustenet` unless told. */
  readonly ours?: ContenderName;
  readonly goal: number | null;
  /** Where the same peer appears in two ways: how this one is called, in the outcomes too. */
  readonly as?: Alias;
  /** The same for ours. */
  readonly oursAs?: Alias;
}

/** A contender that appears in several ways: its key in the outcomes, and how the table calls it. */
export interface Alias {
  readonly key: string;
  readonly title: string;
}

/** What the windows of one contender come to. Void ones are left out; when they are half of all, the whole side is void. */
export function outcomeOf(windows: readonly Measured[], detail: Detail = {}): Outcome {
  const good = windows.filter((window) => window.void === undefined);
  const values = good.map((window) => window.costUs);
  const spoilt = windows.flatMap((window) => (window.void === undefined ? [] : significant(window.costUs)));
  const enough = good.length * 2 > windows.length;
  return {
    values,
    void: enough ? undefined : windows.find((window) => window.void !== undefined)?.void,
    detail: {
      windows: values.map((value) => significant(value)),
      voidWindows: spoilt.length,
      ...(spoilt.length > 0 && { voidCosts: spoilt }),
      doneShare: significant(median(windows.map(({ done }) => done))),
      serverShare: significant(median(windows.map(({ server }) => server)), 2),
      loadShare: significant(median(windows.map(({ load }) => load)), 2),
      loadCore: significant(median(windows.map(({ loadCore }) => loadCore)), 2),
      serverCoreBusiest: significant(Math.max(...windows.map(({ serverCore }) => serverCore)), 2),
      loadCoreBusiest: significant(Math.max(...windows.map(({ loadCore }) => loadCore)), 2),
      ...detail,
    },
  };
}

/** The rows of a scenario; comparisons with a side that was not measured are left out. */
export function compare(
  scenario: string,
  unit: string,
  outcomes: ReadonlyMap<string, Outcome>,
  comparisons: readonly Comparison[],
): Row[] {
  return comparisons.flatMap(({ peer: name, ours: ourName = "sustenet", goal, as, oursAs }) => {
    const ours = outcomes.get(oursAs?.key ?? ourName);
    const peer = outcomes.get(as?.key ?? name);
    if (ours === undefined || peer === undefined) return [];
    const ratio = median(ours.values) / median(peer.values);
    const fault = ours.void ?? peer.void;
    return {
      name: [
        scenario,
        ...(ourName === "sustenet" && oursAs === undefined ? [] : [oursAs?.title ?? contenderTitles[ourName]]),
        as?.title ?? contenderTitles[name],
      ].join(" / "),
      scenario,
      against: as?.key ?? name,
      ours: shown(median(ours.values)),
      peer: shown(median(peer.values)),
      unit,
      ratio: shown(ratio),
      goal,
      meets: goal === null || fault !== undefined ? null : ratio <= goal,
      void: fault ?? null,
      oursSpread: shown(spread(ours.values), 2),
      peerSpread: shown(spread(peer.values), 2),
      oursDetail: ours.detail,
      peerDetail: peer.detail,
      measuredAt: new Date().toISOString(),
    };
  });
}

function shown(value: number, digits = 3): number | null {
  return Number.isFinite(value) ? significant(value, digits) : null;
}
