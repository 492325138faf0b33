import { generationAfterAbort, generationAfterCommit } from "./generation.ts";
import type { FromSession, HeldItem } from "./messages.ts";
import type { Snapshot } from "./parties.ts";
import type { SourceState } from "./source-state.ts";
import { openStreams, withTenure } from "./streams.ts";

/** Where a player starts whose ticket was used here. */
export type Start<Body> =
  /** From the copy that plays here: nothing newer exists. */
  | { readonly from: "copy" }
  /** From what `PlayerSession` has; then these items, which reached this cluster after it. */
  | { readonly from: "save"; readonly snapshot: Snapshot<Body>; readonly items: readonly HeldItem<Body>[] }
  /** From nothing. */
  | { readonly from: "nothing" };

/**
 * Decides where an entering player starts, by who had authority just before. [HAND-10]
 *
 * @param copy generation of the copy that is in the game here, if any; it is not frozen (the handover was told `cancel`)
 * @param handover a handover of the player of which this cluster is the source, and that has not ended
 */
export function chooseStart<Body>(
  entered: Extract<FromSession<Body>, { readonly type: "entered" }>,
  copy: number | undefined,
  handover: SourceState<Body> | undefined,
): Start<Body> {
  const { playerId, generation, previousGeneration, save } = entered;
  const member = handover?.members.find((one) => one.playerId === playerId);
  const from = member?.generation;
  // In doubt the destination was never told, so that the generation of the commit was nobody's.
  const undecided =
    handover?.phase === "doubt" &&
    from !== undefined &&
    previousGeneration >= from &&
    previousGeneration <= generationAfterAbort(from);
  if (copy !== undefined && (copy === previousGeneration || undecided)) return { from: "copy" };
  if (save === undefined) return { from: "nothing" };
  const streams = save.streams === undefined ? openStreams<Body>(generation) : withTenure(save.streams, generation);
  // Nobody has gone on from what this cluster handed over: it still has what came after.
  const untouched = from !== undefined && save.version === 0 && save.generation === generationAfterCommit(from);
  const items = untouched && handover?.activated === false ? (member?.held ?? []) : [];
  return { from: "save", snapshot: { state: save.state, streams }, items };
}

/**
 * Whether word from `PlayerSession` that somebody newer has the player may be about the player's own entry here, which has not
 * been answered yet. It is to be ignored: the answer will say what to do, and a fence that was meant comes again. [HAND-10]
 *
 * @param entering generation of the ticket that was used here and waits for `entered` or `superseded`
 */
export function isOwnEntry(
  message: Extract<FromSession<unknown>, { readonly type: "fence" | "superseded" }>,
  entering: number | undefined,
): boolean {
  if (entering === undefined) return false;
  return message.type === "fence" ? message.generation <= entering : message.generation !== entering;
}
