import type { MailOutcome } from "../../protocol/index.ts";
import type { PlayerGroups } from "../handover/player-groups.ts";
import type { Logger } from "../log.ts";
import { encodeGameMessage, StateFrames } from "../session/game-message.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";
import type { PlayerTable } from "../session/player-table.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import type { PluginStorage } from "../storage/cluster-storage.ts";
import type { Counters } from "./counters.ts";
import type { Entity, FieldValues, FragmentView, Point } from "./entities.ts";
import { assertMail, type MailSender } from "./mail.ts";
import type { Player } from "./player.ts";
import type { PluginTimer, PluginTimers } from "./plugin-timers.ts";
import type { Cluster } from "./server-plugin.ts";

/** What of the cluster a plugin gets to see. */
export interface ViewedParts {
  readonly players: PlayerTable;
  readonly counters: Counters;
  readonly world?: ClusterWorld | undefined;
  readonly tell: MailSender;
  readonly groups: PlayerGroups<JoinedPlayer>;
  /** What this plugin keeps. */
  readonly storage: PluginStorage;
}

/** What a plugin is given of the running cluster. */
export class ClusterView implements Cluster {
  readonly name: string;
  readonly log: Logger;
  readonly storage: PluginStorage;
  readonly #players: PlayerTable;
  readonly #timers: PluginTimers;
  readonly #counters: Counters;
  readonly #world: ClusterWorld | undefined;
  readonly #tell: MailSender;
  readonly #groups: PlayerGroups<JoinedPlayer>;

  constructor(name: string, parts: ViewedParts, log: Logger, timers: PluginTimers) {
    this.name = name;
    this.log = log;
    this.#players = parts.players;
    this.#counters = parts.counters;
    this.#timers = timers;
    this.#world = parts.world;
    this.#tell = parts.tell;
    this.#groups = parts.groups;
    this.storage = parts.storage;
  }

  get players(): Iterable<JoinedPlayer> {
    return this.#players;
  }

  get playerCount(): number {
    return this.#players.size;
  }

  player(number: number): JoinedPlayer | undefined {
    return this.#players.byNumber(number);
  }

  broadcast(command: number, payload: Uint8Array = new Uint8Array(0), except?: Player): void {
    const frame = encodeGameMessage(command, payload);
    for (const player of this.#players) if (player !== except) player.sendFrame(frame);
  }

  broadcastState(
    key: string | number,
    command: number,
    payload: Uint8Array = new Uint8Array(0),
    except?: Player,
  ): void {
    const frames = new StateFrames(command, payload);
    for (const player of this.#players) if (player !== except) player.sendStateFrame(key, frames);
  }

  tell(playerId: string, command: number, payload: Uint8Array = new Uint8Array(0)): Promise<MailOutcome> {
    assertMail(command, payload);
    return this.#tell(playerId, command, payload);
  }

  keepTogether(players: Iterable<Player>): void {
    const group = [...players].map((player) => this.#players.byNumber(player.number));
    this.#groups.keepTogether(group.filter((player) => player !== undefined));
  }

  setCounter(name: string, value: number | undefined): void {
    this.#counters.set(name, value);
  }

  get fragments(): readonly FragmentView[] {
    return this.#world?.fragments() ?? [];
  }

  fragmentAt(place: Point): string | undefined {
    return this.#world?.fragmentAt(place);
  }

  playersIn(fragment: string): readonly JoinedPlayer[] {
    return this.#world?.playersIn(fragment) ?? [];
  }

  spawn(kind: string, at: Point, values?: FieldValues): Entity | undefined {
    if (this.#world === undefined) throw new RangeError(`there is no kind of entity ${kind}`);
    return this.#world.spawn(kind, at, values);
  }

  entity(number: number): Entity | undefined {
    return this.#world?.entity(number);
  }

  after(delayMs: number, callback: () => unknown): PluginTimer {
    return this.#timers.after(delayMs, callback);
  }

  every(intervalMs: number, callback: () => unknown): PluginTimer {
    return this.#timers.every(intervalMs, callback);
  }
}
