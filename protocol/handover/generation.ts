/**
 * Generations order everyone who ever had authority over a player; only the newest may act. Spec: docs/HANDOVER.md, section 3.
 *
 * A ticket opens a new *session*: its generation is a multiple of {@link stepsPerSession}. Handovers *step* within it. So a
 * ticket beats every handover of the sessions before it, however long it lay unused and however many there were. [HAND-2]
 */

/** How many steps fit into one session: a move takes one, an abort two. At a move a second, 12 days. */
export const stepsPerSession = 2 ** 20;

/** The generation of a new ticket, given the greatest one that any ticket of the player had (0: none). */
export function nextSessionGeneration(issued: number): number {
  return (sessionOf(issued) + 1) * stepsPerSession;
}

/** The session that a generation belongs to. */
export function sessionOf(generation: number): number {
  return Math.floor(generation / stepsPerSession);
}

/** The destination's generation, when the handover from `generation` is committed. */
export function generationAfterCommit(generation: number): number {
  return generation + 1;
}

/** The source's generation, when the handover from `generation` is aborted: newer than the destination's would have been. */
export function generationAfterAbort(generation: number): number {
  return generation + 2;
}

/**
 * Whether a handover may begin: both of its outcomes must stay below the next session. Sessions from before there were steps, whose
 * generations count by one, have no room for any. [HAND-2]
 */
export function canStep(generation: number): boolean {
  return generation >= stepsPerSession && sessionOf(generationAfterAbort(generation)) === sessionOf(generation);
}
