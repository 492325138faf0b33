import type { Shell } from "./shell.ts";

/** Something that can happen next in a world. */
export interface Move {
  /**
   * `delivery`: something that is on its way arrives. `repair`: what is down comes up. `patience`: somebody has waited long
   * enough. These three go on when the world is left alone. `game`: players and operators. `fault`: what must not do harm.
   */
  readonly kind: "delivery" | "repair" | "patience" | "game" | "fault";
  readonly name: string;
  readonly run: (shell: Shell) => void;
}

/** Whether a move happens in a world that is left alone. */
export function isUnforced(move: Move): boolean {
  return move.kind === "delivery" || move.kind === "repair" || move.kind === "patience";
}

export interface Scope {
  /** Which handovers may begin: who, from where, to where; the first decides. */
  readonly handovers: readonly { readonly playerIds: readonly string[]; readonly from: string; readonly to: string }[];
  /** Clusters that may be killed. */
  readonly mortals: readonly string[];
  /** Links come up together with their clusters: fewer worlds. Otherwise each comes up in its own time. */
  readonly promptLinks: boolean;
}

/** Takes down moves of one kind. */
export type Note = (name: string, run: (shell: Shell) => void) => void;
