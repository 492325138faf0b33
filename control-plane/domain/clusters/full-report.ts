import type { LinkReport } from "../../../protocol/index.ts";

/** How far a full report in parts has come. `of` is the sequence of its first part; 0: none is under way. */
export interface FullProgress {
  readonly of: number;
  readonly next: number;
}

/** What a report means for the list of everyone in the game. */
export type FullStep =
  /** It lists changes alone, or a part of everyone after which more follow. */
  | { readonly kind: "changes"; readonly progress: FullProgress; readonly begins: boolean }
  /** With it everyone has been listed: whoever has not is not in the game. */
  | { readonly kind: "complete"; readonly progress: FullProgress; readonly begins: boolean };

export const noFullReport: FullProgress = { of: 0, next: 0 };

/**
 * @returns what to do about a report that comes after `progress`. A part that does not follow the one before it lists changes
 *   and nothing more: of such a report nobody can tell who is missing.
 */
export function stepOfFullReport(
  progress: FullProgress,
  report: Pick<LinkReport, "full" | "sequence" | "part">,
): FullStep {
  const { part } = report;
  if (!report.full) return { kind: "changes", progress, begins: false };
  if (part === undefined) return { kind: "complete", progress: noFullReport, begins: false };
  const begins = part.index === 0 && part.of === report.sequence;
  const follows = begins || (part.of === progress.of && part.index === progress.next);
  if (!follows) return { kind: "changes", progress: noFullReport, begins: false };
  if (part.last) return { kind: "complete", progress: noFullReport, begins };
  return { kind: "changes", progress: { of: part.of, next: part.index + 1 }, begins };
}
