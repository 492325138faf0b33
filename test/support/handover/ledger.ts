import { randomInt } from "node:crypto";
import { randomSource } from "../../../control-plane/domain/testing/random-source.ts";
import {
  ByteReader,
  ByteWriter,
  type Cluster,
  type LeaveReason,
  type Player,
  type ServerPlugin,
} from "../../../data-plane/index.ts";
import { JoinedPlayer } from "../../../data-plane/session/joined-player.ts";

/** Commands of the game's messages. */
export const commands = {
  /** From the client: its number, counted from 1, a number at random, and the run that it belongs to. */
  input: 1,
  /** The answer to each input: its number. */
  echo: 2,
  /** Made by the cluster as time goes by: counted from 1. */
  pulse: 3,
  /** Where the game begins for a player that joined: last input, chain, last pulse, run, and 1 if that is from what was saved, 0 if that is not known yet. */
  begin: 4,
  /** All inputs of a run up to this one are saved for good. */
  saved: 5,
  /** From the client: where it wants to be teleported to, as an x. */
  teleport: 6,
} as const;

/** Out of 24 that could go. */
const refusals = ["throws", "too large"] as const;
/** More than a player may take along. */
const tooLarge = 80_000;

/** What a cluster tells the test. */
export type LedgerReport =
  | {
      readonly event: "plays" | "rests";
      readonly playerId: string;
      readonly generation: number;
      /** Milliseconds since 1970, with fractions. */
      readonly atMs: number;
    }
  | { readonly event: "left"; readonly playerId: string; readonly reason: LeaveReason }
  | { readonly event: "fault"; readonly text: string };

interface Page {
  input: number;
  chain: number;
  pulse: number;
  /** From one beginning of the game to the next. */
  readonly run: number;
  /** The run before, whose last inputs may still come: it was to be played until what was saved is known. 0: none. */
  before: number;
}

/** The chain of inputs up to one more. */
export function chained(chain: number, input: number, nonce: number): number {
  let hash = chain ^ input;
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ nonce;
  return Math.imul(hash ^ (hash >>> 12), 0x297a2d39) >>> 0;
}

/**
 * A game that notices what is lost, doubled or out of order: each player's inputs are chained, each is answered, and something is sent
 * to each player all the time. It tells when a player plays here.
 */
export class Ledger implements ServerPlugin {
  readonly name = "ledger";
  readonly #report: (report: LedgerReport) => void;
  readonly #pages = new Map<Player, Page>();
  /** What was saved of players who have not joined yet, where that is known. */
  readonly #saved = new WeakMap<Player, Page>();
  #cluster: Cluster | undefined;
  /** Who stays with whom, by their ids. */
  #groups: readonly (readonly string[])[] = [];
  /** Whether the next handover is refused, and how. */
  #refusal: () => "throws" | "too large" | undefined = () => undefined;

  constructor(report: (report: LedgerReport) => void) {
    this.#report = report;
  }

  onStart(cluster: Cluster): void {
    this.#cluster = cluster;
  }

  /** From now on these go to another cluster together, as far as they are here. */
  keepTogether(groups: readonly (readonly string[])[]): void {
    this.#groups = groups;
    for (const player of this.#pages.keys()) this.#group(player);
  }

  /** From now on the game keeps one in twelve here that could go, in one way or the other; or nobody any more. */
  refuse(seed: number | undefined): void {
    const random = randomSource(seed ?? 0);
    this.#refusal = () => (seed === undefined ? undefined : refusals[random.below(24)]);
  }

  /** What was saved may come late, when the master was away: then the game begins once more, unless there was nothing. */
  onLoad(player: Player, data: Uint8Array | undefined): void {
    const saved = data === undefined ? firstPage() : { ...readPage(data), run: newRun(), before: 0 };
    const page = this.#pages.get(player);
    if (page === undefined) return void this.#saved.set(player, saved);
    if (data === undefined) return this.#begin(player, page, true);
    const next = { ...saved, before: page.run };
    this.#pages.set(player, next);
    this.#begin(player, next, true);
  }

  onJoin(player: Player): void {
    const saved = this.#saved.get(player);
    const page = saved ?? firstPage();
    this.#open(player, page);
    this.#begin(player, page, saved !== undefined);
  }

  onLeave(player: Player, reason: LeaveReason): void {
    this.#close(player);
    this.#report({ event: "left", playerId: player.id, reason });
  }

  onMigrateOut(player: Player): Uint8Array {
    const refusal = this.#refusal();
    if (refusal === "throws") throw new Error("this game keeps the player here");
    const bytes = pageBytes(this.#page(player));
    this.#close(player);
    return refusal === "too large" ? Buffer.concat([bytes, Buffer.alloc(tooLarge)]) : bytes;
  }

  onMigrateIn(player: Player, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return this.#report({ event: "fault", text: "a player came without its page" });
    this.#open(player, readPage(bytes));
  }

  onMessage(player: Player, command: number, reader: ByteReader): void {
    if (command === commands.teleport) return void this.#teleport(player, reader.f32());
    if (command !== commands.input) return;
    const [input, nonce, run] = [reader.u32(), reader.u32(), reader.u32()];
    const page = this.#page(player);
    if (run === page.before) return;
    if (input !== page.input + 1 || run !== page.run) {
      const text = `input ${input} of ${player.id} in ${run} came after ${page.input} in ${page.run}`;
      this.#report({ event: "fault", text });
    }
    // The client has begun this run: nothing of the one before can follow.
    page.before = 0;
    page.input = input;
    page.chain = chained(page.chain, input, nonce);
    player.send(commands.echo, new ByteWriter(4).u32(input).bytes);
  }

  onTick(tick: number): void {
    if (tick % 3 !== 0) return;
    for (const [player, page] of this.#pages) {
      page.pulse += 1;
      player.send(commands.pulse, new ByteWriter(4).u32(page.pulse).bytes);
      if (page.pulse % 10 === 0) void this.#save(player, { ...page });
    }
  }

  /** Asks until it is there, with whoever stays with it: it may have come a moment ago, or be slow. */
  async #teleport(player: Player, x: number): Promise<void> {
    const [outcome] = await Promise.all(this.#withOthers(player).map((one) => one.teleport({ ...one.position, x })));
    if (outcome === "moved" || outcome === "handed-over" || !player.connected) return;
    this.#cluster?.after(100, () => this.#teleport(player, x));
  }

  /** A player and those who are to stay with it and are here, itself first. */
  #withOthers(player: Player): readonly Player[] {
    const group = this.#groups.find((ids) => ids.includes(player.id)) ?? [];
    const others = [...this.#pages.keys()].filter((one) => one !== player && group.includes(one.id));
    return [player, ...others];
  }

  #group(player: Player): void {
    this.#cluster?.keepTogether(this.#withOthers(player));
  }

  async #save(player: Player, page: Page): Promise<void> {
    if ((await player.save(pageBytes(page))) !== "saved") return;
    player.send(commands.saved, new ByteWriter(8).u32(page.input).u32(page.run).bytes);
  }

  #begin(player: Player, page: Page, isKnown: boolean): void {
    const { input, chain, pulse, run } = page;
    player.send(
      commands.begin,
      new ByteWriter(17)
        .u32(input)
        .u32(chain)
        .u32(pulse)
        .u32(run)
        .u8(isKnown ? 1 : 0).bytes,
    );
  }

  #page(player: Player): Page {
    const page = this.#pages.get(player);
    if (page !== undefined) return page;
    this.#report({ event: "fault", text: `${player.id} does something and does not play here` });
    return firstPage();
  }

  #open(player: Player, page: Page): void {
    this.#pages.set(player, page);
    this.#group(player);
    this.#tell("plays", player);
  }

  #close(player: Player): void {
    if (this.#pages.delete(player)) this.#tell("rests", player);
  }

  #tell(event: "plays" | "rests", player: Player): void {
    const generation = player instanceof JoinedPlayer ? player.seat.generation : 0;
    const atMs = performance.timeOrigin + performance.now();
    this.#report({ event, playerId: player.id, generation, atMs });
  }
}

function newRun(): number {
  return randomInt(1, 2 ** 32);
}

function firstPage(): Page {
  return { input: 0, chain: 0, pulse: 0, run: newRun(), before: 0 };
}

function pageBytes({ input, chain, pulse, run, before }: Page): Uint8Array {
  return new ByteWriter(20).u32(input).u32(chain).u32(pulse).u32(run).u32(before).bytes;
}

/** As {@link Ledger} has saved it. */
export function readPage(bytes: Uint8Array): Page {
  const reader = new ByteReader(bytes);
  return { input: reader.u32(), chain: reader.u32(), pulse: reader.u32(), run: reader.u32(), before: reader.u32() };
}
