import type { CloseCode } from "../../protocol/index.ts";
import type { SaveOutcome } from "../authority/save-line.ts";
import type { Entity } from "./entities.ts";

/** Where something stands and looks. */
export interface Placement {
  /** World units. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** 65,536 to a full turn, from the positive x axis towards the positive z axis. */
  readonly heading: number;
}

export interface RequestOptions {
  /** 1 to 60,000; by default 10,000. */
  readonly timeoutMs?: number;
  /** Calls it off: it then rejects with `CANCELLED`. */
  readonly signal?: AbortSignal;
}

/** What came of {@link Player.teleport}. Only with the first two has the player moved; with the others it is where it was. */
export type TeleportOutcome =
  /** It stands there, on this cluster. */
  | "moved"
  /** It plays there, on another cluster. */
  | "handed-over"
  /** There is no room, there or in the fragment. */
  | "full"
  /**
   * It cannot go to that cluster as it is: a plugin here could not pack it, or was not done with it in time, its state is too large, or
   * the other cluster has not got its game, or is of an earlier version. The log says which.
   */
  | "refused"
  /** No cluster carries the place, or the way there is down, or broke off, or the master is away. It may be tried again. */
  | "unreachable"
  /**
   * Not just now: it came a moment ago, its client is away or comes with a new ticket, or a handover or a teleport of it is under way. It may be
   * tried again.
   */
  | "busy"
  /** It is kept together with others, who do not go to the same cluster in the same tick. */
  | "apart"
  /** Its client cannot change clusters. */
  | "unsupported"
  /** It has left the game. */
  | "left";

/** A player in the game, as a plugin sees it. */
export interface Player {
  /** The account: the same wherever and whenever this player joins. */
  readonly id: string;
  /** Display name. */
  readonly name: string;
  /** Names the player within this cluster, for as long as it is joined. */
  readonly number: number;
  /** Where it stands now. */
  readonly position: Placement;
  /** The fragment that it is in; where the cluster has no world, the one that its ticket names, which may be empty. */
  readonly fragment: string;
  /** What others see of it; `undefined` where the cluster has no world, and once it has left. */
  readonly entity: Entity | undefined;
  /** How many of its moves were not let pass. */
  readonly refusedMoves: number;
  /** False once it has left. */
  readonly connected: boolean;
  /** True while its connection is gone and it may still come back: what is sent meanwhile waits for it. */
  readonly dropped: boolean;
  /**
   * Sends a message of the game. The payload is copied: its bytes may be used again at once.
   *
   * @param command 0 to 255
   * @param payload up to 65,533 bytes
   * @returns false when the player has left: nothing is sent then
   * @throws RangeError when command or payload does not fit
   */
  send(command: number, payload?: Uint8Array): boolean;
  /**
   * As {@link send}, but behind everything else: for what is large and not urgent. Such messages keep their order among
   * themselves; those of `send` overtake them.
   */
  sendBulk(command: number, payload?: Uint8Array): boolean;
  /**
   * Sends state of which only the latest matters. It leaves once a tick; what the same key was given before, and has not left
   * yet, is replaced. It may be lost with a connection: send it anew in `onResume`.
   *
   * @param key whatever tells one piece of state from another here; the client does not see it
   * @throws RangeError as {@link send}
   */
  sendState(key: string | number, command: number, payload?: Uint8Array): boolean;
  /**
   * Asks the client, and resolves with its answer. While the player is dropped the request waits for it.
   *
   * @param payload up to 65,525 bytes
   * @throws RequestError as a rejection: `TIMEOUT`, `UNHANDLED`, `FAILED`, `ENDED`, …; RangeError
   */
  request(command: number, payload?: Uint8Array, options?: RequestOptions): Promise<Uint8Array>;
  /**
   * Puts it elsewhere, into the fragment there, and tells its client. Where this cluster carries the place, that is done when this returns.
   * Moves that are on their way start where it was: only a speed limit tells them from later ones. Where another cluster carries it, the
   * player is handed over to it from the end of the tick on, as one that walks over the border: with `onMigrateOut` here and `onMigrateIn` there.
   *
   * Resolves with what came of it, as a rule within a second. Never rejects. Do not await it in a hook of the same player: it goes only
   * when none is under way.
   *
   * @throws RangeError for a coordinate that is not finite (as an `f32`: up to 3.4e38), or a heading that is no whole number from 0 to 65,535
   */
  teleport(to: Placement): Promise<TeleportOutcome>;
  /**
   * Keeps what the game wants to know of this player the next time it joins, wherever that is (`ServerPlugin.onLoad`), with where it
   * stands and the state of its entity. Resolves with `saved` once that is durable; with `superseded` when a newer session has the
   * player: then nothing of this one counts any more; or with `unsaved` when it is not known to be kept, as
   * when the player was on its way to another cluster already. Never rejects.
   *
   * One save of a player is on its way at a time, and at most one a second is sent; of those that wait only the latest is, and speaks
   * for the ones before. While the master is away they wait, also after the player has left: then for 5 minutes.
   *
   * @param data at most 49,152 bytes, which are copied
   * @throws RangeError when it is more
   */
  save(data: Uint8Array): Promise<SaveOutcome>;
  /** Ends the connection; the client is told `code`, by default `NORMAL`. @throws RangeError for what is no code */
  close(code?: CloseCode): void;
}

/**
 * Why a player left: the code of the CLOSE that was sent, `NORMAL` when the client said goodbye, or `DROPPED` when the
 * connection ended without a word.
 */
export type LeaveReason = CloseCode | "DROPPED";
