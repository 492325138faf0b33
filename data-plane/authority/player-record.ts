import type { HeldItem } from "../../protocol/handover/messages.ts";
import type { Streams } from "../../protocol/handover/streams.ts";
import type { FieldValues } from "../plugin/entities.ts";
import type { Placement } from "../plugin/player.ts";
import type { WorldSnapshot } from "../world/cluster-world.ts";
import type { PlayerState } from "./player-state.ts";
import type { SaveLine } from "./save-line.ts";
import type { Question } from "./session-desk.ts";

/** What the keeping of saves needs of a player in the game. */
export interface KeptPlayer {
  readonly id: string;
  /** Its generation may step while it plays: by a handover that was taken back. */
  readonly seat: { readonly generation: number };
  readonly position: Placement;
  readonly lane: { idle(): Promise<void> };
}

/** Where a player goes on from, once its session has answered. */
export type RecordStart<P extends KeptPlayer> =
  /** From the session before, on this cluster: nobody has had authority since. */
  | { readonly from: "copy"; readonly record: PlayerRecord<P> }
  /** `streams` are those of a handover's snapshot, under this session's tenure; new ones after any other save. [HAND-10] */
  | {
      readonly from: "save";
      readonly state: PlayerState;
      readonly streams: Streams<Uint8Array>;
      /** What this cluster has held for the player since: it comes after that. [HAND-20] */
      readonly items: readonly HeldItem<Uint8Array>[];
    }
  | { readonly from: "nothing" }
  /** From what this cluster cannot read: it plays, and nothing is overwritten. */
  | { readonly from: "unreadable" };

/** What this cluster knows of one session of a player: whether it has authority, and what is to be saved of it. */
export class PlayerRecord<P extends KeptPlayer = KeptPlayer> {
  readonly playerId: string;
  readonly line: SaveLine;
  /** `queued`: it will ask when an earlier ticket's entry has been answered. `entered`: this session has authority, for all that is known. */
  phase: "unasked" | "queued" | "entering" | "entered" | "superseded" = "unasked";
  start: RecordStart<P> | undefined;
  /** The newest of what the game has saved, or was given to load. */
  saved: Uint8Array | undefined;
  /** What was there before has been read, so that it may be overwritten. */
  isRead = false;
  player: P | undefined;
  /** The session before, on this cluster, if it had authority. */
  before: PlayerRecord<P> | undefined;
  /** A newer session here goes on from this one, and saves what is not saved yet. */
  heir: PlayerRecord<P> | undefined;
  /** The join came to nothing: what gives the session before this one's generation, if that goes on by it. [HAND-23] */
  goOn: ((player: P) => void) | undefined;
  /** Where the player was last, once it leaves. */
  last: WorldSnapshot | undefined;
  /** Its hooks are done. */
  hasLeft = false;
  question: Question | undefined;
  /** For the next save. */
  timer: NodeJS.Timeout | undefined;
  /** For the end of what is tried once it has left. */
  lateTimer: NodeJS.Timeout | undefined;
  readonly #generation: number;
  /** Made for who waits. */
  #answered: PromiseWithResolvers<void> | undefined;

  /** @param generation of the ticket */
  constructor(playerId: string, generation: number, line: SaveLine) {
    this.playerId = playerId;
    this.#generation = generation;
    this.line = line;
  }

  get generation(): number {
    return this.player?.seat.generation ?? this.#generation;
  }

  /** Resolves with the next answer of the player's session, whatever it is. */
  get answered(): Promise<void> {
    this.#answered ??= Promise.withResolvers();
    return this.#answered.promise;
  }

  /** Where the player stood, for it to go on there. */
  get placement(): Placement | undefined {
    if (this.start?.from === "copy") return this.start.record.last?.placement ?? this.start.record.player?.position;
    return this.start?.from === "save" ? this.start.state.placement : undefined;
  }

  /** State of its entity from before. */
  get values(): FieldValues | undefined {
    if (this.start?.from === "copy") return this.start.record.last?.values;
    return this.start?.from === "save" ? this.start.state.values : undefined;
  }

  /** Whether its entry has yet to be answered. */
  get isOpen(): boolean {
    return this.phase === "entering" || this.phase === "queued";
  }

  /** Whether anything that it has left may still come to be saved. */
  get canYetBeSaved(): boolean {
    // An heir takes it.
    if (this.heir !== undefined) return !this.heir.isRead;
    // What the one before has left can go out only by this one's authority.
    return this.line.busy || (this.phase === "entering" && this.before?.line.busy === true);
  }

  noteAnswer(): void {
    this.#answered?.resolve();
  }

  dropQuestion(): void {
    this.question?.drop();
    this.question = undefined;
  }
}
