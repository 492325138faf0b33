import type { ByteReader, CloseCode, MailOutcome } from "../../protocol/index.ts";
import type { CarryChange } from "../fragments/carry-change.ts";
import type { Logger } from "../log.ts";
import type { PluginStorage } from "../storage/cluster-storage.ts";
import type { Entity, EntityFields, FieldValues, FragmentView, Point, ThresholdChange } from "./entities.ts";
import type { Mail } from "./mail.ts";
import type { LeaveReason, Placement, Player } from "./player.ts";
import type { PluginTimer } from "./plugin-timers.ts";

/** The running cluster, as a plugin sees it. */
export interface Cluster {
  /** Display name. */
  readonly name: string;
  /** Everyone in the game. */
  readonly players: Iterable<Player>;
  readonly playerCount: number;
  /** The player with this number, or `undefined`. */
  player(number: number): Player | undefined;
  /**
   * Sends one message to all players, or to all but one. It is encoded once.
   *
   * @throws RangeError as {@link Player.send}
   */
  broadcast(command: number, payload?: Uint8Array, except?: Player): void;
  /** Sets the same state for all players, or for all but one, as {@link Player.sendState}. It is encoded once. */
  broadcastState(key: string | number, command: number, payload?: Uint8Array, except?: Player): void;
  /**
   * Sends a message of the game to a player wherever it is: on this cluster, or by way of the master on another one, where it is
   * an ordinary message once the plugins there have let it pass ({@link ServerPlugin.onMail}). It arrives at most once and is kept
   * nowhere; messages may overtake each other. Beyond this cluster it is for what is rare, as invitations and whispers: 20 a second
   * from a cluster (100 at once) and 10 to a player (40 at once), and none while the link to the master is down.
   *
   * Resolves, within 10 s, with `sent` (handed on; it may still be lost), `unknown` (nobody of that id is in the game), `refused`
   * (too many, or no way there; not sent), or `lost` (no answer: it may have arrived or not). Never rejects.
   *
   * @param playerId the account, as {@link Player.id}
   * @param payload up to 4,096 bytes
   * @throws RangeError when command or payload does not fit
   */
  tell(playerId: string, command: number, payload?: Uint8Array): Promise<MailOutcome>;
  /**
   * Calls back once, after so many milliseconds. What the callback throws is contained as with hooks, and it never comes
   * once the cluster has stopped.
   *
   * @throws RangeError for a delay that is not from 0 to 2,147,483,647, or for more than 100,000 timers of one plugin
   */
  after(delayMs: number, callback: () => unknown): PluginTimer;
  /** Calls back again and again; while the promise of one call is open the next ones are left out. */
  every(intervalMs: number, callback: () => unknown): PluginTimer;
  /**
   * The fragments of the world that this cluster carries; none where it has no world: where `Config.toml` lays out none,
   * and no plugin has `entities`. In a shared world, all that it can carry until the master has told which of them it does:
   * {@link ServerPlugin.onCarry} tells what changes.
   */
  readonly fragments: readonly FragmentView[];
  /** Name of the fragment that holds a place, if this cluster carries it: elsewhere another cluster's game says what there is. */
  fragmentAt(place: Point): string | undefined;
  /** Who is in a fragment. */
  playersIn(fragment: string): readonly Player[];
  /**
   * Puts an entity into the world, which players around see from the end of the tick on. Returns `undefined` when the world
   * is full.
   *
   * @param kind one of {@link ServerPlugin.entities}
   * @param values fields that are not to be 0 or empty
   * @throws RangeError for a kind or field that there is not, or a value that the field cannot hold
   */
  spawn(kind: string, at: Point, values?: FieldValues): Entity | undefined;
  /** The entity with this number, a player's or a plugin's, or `undefined`. */
  entity(number: number): Entity | undefined;
  /**
   * In a shared world: from now on these players, at most 16, go to another cluster together or not at all, as those in one vehicle or one
   * trade: when all of them stand where that cluster carries; until then all stay here. Their state is saved together, or not at
   * all; while there is too much of it to move at once (about 1.3 MB, with what their clients have not acknowledged) all stay. Whoever was in another group is not any more; a group of one is none. It does not go along: group them again in `onMigrateIn`.
   *
   * @throws RangeError for more than 16
   */
  keepTogether(players: Iterable<Player>): void;
  /**
   * Sets a number by which clients can select this cluster (`selector.counters`), or takes it back with `undefined`. The master
   * learns it with the next report. Plugins share them: at most 16 in all.
   *
   * @throws RangeError for a name that is not 1 to 64 letters, digits, `_`, `.`, `/` and `-`, for a value that is not finite, or
   *   for a seventeenth counter
   */
  setCounter(name: string, value: number | undefined): void;
  /**
   * What this plugin keeps on the disk of this cluster (`state_dir`), for the same instance when it starts again: a round's number, a
   * map's seed. It is small, of this cluster alone, and as safe as its disk; what belongs to a player goes with {@link Player.save}.
   */
  readonly storage: PluginStorage;
  /** Writes to the cluster's log, each line with the plugin's name. */
  readonly log: Logger;
}

/** Who is about to join, as the ticket says. */
export interface Newcomer {
  /** The account. */
  readonly id: string;
  /** Display name. */
  readonly name: string;
  /** Counts the player's sessions. */
  readonly generation: number;
  /** Where in the world the ticket lets the player start; may be empty. */
  readonly fragment: string;
}

/** A line of the log. */
export interface LogEntry {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly timeMs: number;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a hook may return: asynchronous ones are waited for as {@link ServerPlugin} says. */
type Done = void | Promise<void>;

/**
 * Game logic. Every hook is optional.
 *
 * Several plugins are asked in their order, each after the one before is done; `onStop` in the opposite order.
 *
 * What a hook throws, or what its promise rejects with, is logged and counted; nobody else notices. A promise that is open
 * for 10 s counts as rejected. A hook that keeps failing (20 times in 10 s, at least half of its calls, for at least three
 * players) is switched off: for 5 s at first, then one call at a time goes through on trial. A hook that holds up everybody
 * for more than 10 ms is reported as slow, for more than 250 ms it counts as failed; one that never returns gets the process
 * killed by its watchdog.
 *
 * `onJoin`, `onMessage` and `onLeave` of one player run in order, one after another, also when the player comes back on a new
 * connection: while the promise of one is open the next ones wait (10 s at most), and when many wait nothing more is read
 * from that player. `onMove` and `onTick` do not stand in that line.
 */
export interface ServerPlugin {
  /**
   * For the log, and what goes by it: what `cluster.storage` keeps, and what goes along to the same plugin of another cluster. No two plugins of
   * a cluster may have the same one, and one that has none is called by its place in the list.
   */
  readonly name?: string;
  /**
   * The kinds of entity that the plugin puts into the world, and the fields of their state, by name. `player` adds fields to
   * those that players have anyway, `number` and `heading`. Read once, before `onStart`.
   */
  readonly entities?: Readonly<Record<string, EntityFields>>;
  /** Before anybody can join. A failure here keeps the cluster from starting; one that takes long is waited for, and the log says so every 10 s. */
  onStart?(cluster: Cluster): Done;
  /**
   * Whether to let a player in whose ticket is good. Returns the code to refuse with, as `NOT_ALLOWED`. The first plugin
   * that refuses decides. A hook that fails or is switched off refuses, with `INTERNAL`; and whatever is not in the game
   * within the time for joining (5 s) is out.
   */
  onAuth?(newcomer: Newcomer): CloseCode | void | Promise<CloseCode | void>;
  /**
   * What {@link Player.save} has kept of a player, on this cluster or another one; `undefined` when it never has. As a rule it comes right
   * before `onJoin`, in the same line, and the player starts where it was saved. While the master is away a player joins without, and
   * this comes when the answer does, once: what was saved before that is kept only if there was nothing yet, so take what comes here
   * into account and save anew. The bytes may be of an earlier version of the game. A hook that throws, or is switched off, has not
   * read them: of that session nothing is saved then (`unsaved`), so that what there was stays.
   */
  onLoad?(player: Player, data: Uint8Array | undefined): Done;
  /** A player has joined. What is sent to it here arrives right after its WELCOME. */
  onJoin?(player: Player): Done;
  /**
   * A player's connection has gone; it may come back within `resume_grace_ms`, or else it leaves. This and `onResume` come by turns: what comes and goes
   * while a player is on its way to another cluster is told when it plays on here, as far as it still matters.
   */
  onDrop?(player: Player): Done;
  /** A dropped player has come back, also with a new ticket. What it missed has been sent to it again; its state has to be sent anew. */
  onResume?(player: Player): Done;
  /** A player has left; it can be sent nothing any more. What is saved of it here is still kept. */
  onLeave?(player: Player, reason: LeaveReason): Done;
  /**
   * A player asks to move. Return `false` to refuse: it is then put back to where it was. Must not be asynchronous.
   * All plugins have to agree. A hook that throws refuses; one that is switched off has no say.
   */
  onMove?(player: Player, from: Placement, to: Placement): boolean | void;
  /**
   * A message of the game. The reader's views stay as they are until the hook is done, asynchronous ones included; copy
   * what has to live longer. A reader that runs out of bytes throws: let it through, and that player is closed with
   * `PROTOCOL_ERROR`. Each plugin gets a reader of its own; one that returns `true` has dealt with the message, and those
   * after it do not see it.
   */
  onMessage?(player: Player, command: number, reader: ByteReader): boolean | void | Promise<boolean | void>;
  /**
   * Mail for a player here, from {@link Cluster.tell} on any cluster of the game. Return `false` to keep it from the player, as when
   * the plugin has dealt with it; otherwise it goes on to the client as an ordinary message. All plugins that have this hook have
   * to agree, and where none has it no mail is passed on. A hook that throws, or is switched off, keeps it back. Must not be
   * asynchronous. It does not stand in line with `onJoin` and `onMessage`.
   */
  onMail?(player: Player, mail: Mail): boolean | void;
  /**
   * A request of the player: what is returned is the payload of the answer, and `undefined` means that the next plugin is
   * asked. It begins in line with `onJoin` and `onMessage`; while its promise is open the next ones go on. `signal` aborts
   * when nobody waits for the answer any more. What is thrown, the client sees as `FAILED`; the reader is as in `onMessage`.
   */
  onRequest?(
    player: Player,
    command: number,
    reader: ByteReader,
    signal: AbortSignal,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** A player has come into a fragment, also as it joins: in line with `onJoin`, after it; once for each time. */
  onEnterFragment?(player: Player, fragment: string): Done;
  /** A player has left a fragment, also as it leaves the game: before `onLeave`, and before `onEnterFragment` of the next. */
  onLeaveFragment?(player: Player, fragment: string): Done;
  /**
   * A player is about to go on to another cluster of the world, and stands still from now on: gives along what this plugin keeps of it.
   * Called between two ticks, when nothing of the player is under way, and has to answer at once. From here on this plugin is
   * told nothing of the player, and must not change what it gave, until {@link onMigrateIn}: there, or here, when the move came
   * to nothing. A hook that fails keeps the player here. `onLeave` is not called for a player that moves; `onLeaveFragment` is,
   * when it has gone.
   *
   * @returns bytes, which are copied; all plugins' together, with what was saved and the state of its entity, have to fit into
   *   72 KiB, otherwise the player stays
   */
  onMigrateOut?(player: Player): Uint8Array | undefined;
  /**
   * A player goes on here: it has come from another cluster, in place of `onJoin`, or it could not go, and stays; or it has come with a
   * ticket, as its cluster died while it was handed over, and goes on from what was saved of it by that. In line with
   * `onJoin`, before its first message and `onEnterFragment`. Timers and promises of the other cluster are not there; requests to
   * the client that were open there have been rejected with `MOVED`. `onAuth` is not asked. When it fails the player's session ends
   * with `INTERNAL`, so that nothing is saved over what it was: also what `onLeave` saves then is `unsaved`.
   *
   * @param bytes what this plugin's `onMigrateOut` gave; `undefined` when it gave nothing
   */
  onMigrateIn?(player: Player, bytes: Uint8Array | undefined): Done;
  /**
   * This cluster carries other fragments than before: the master has said so, or the layout has changed. `cluster.fragments` has them already.
   * What a plugin has put into a fragment that is lost, it takes out here; the cluster that carries it now puts in its own. In order, once for each
   * change, before the players there are told to leave or enter; promises are not waited for.
   */
  onCarry?(change: CarryChange): Done;
  /** More or fewer of a fragment's thresholds apply than before. In order, once for each change; promises are not waited for. */
  onThreshold?(change: ThresholdChange): Done;
  /**
   * A fixed step of the simulation. While the promise of one is open the next ones are left out.
   *
   * @param dtSeconds always one tick's length
   */
  onTick?(tick: number, dtSeconds: number): Done;
  /**
   * The cluster is told to stop: nobody joins any more, those who are here play on. They are told to go when every plugin's
   * promise is done, or after `deadlineMs`.
   */
  onDrain?(deadlineMs: number): Done;
  /**
   * All players have left, and the process is about to end: in 10 s, of which an `onLeave` that is not done takes half at most, and each
   * plugin has its share of what is left.
   */
  onStop?(): Done;
  /** Takes every line of the cluster's log at the level that is set. Lines that it causes do not come back to it. */
  onLog?(entry: LogEntry): Done;
}
