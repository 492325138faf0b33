import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { decodeJwt } from "jose";
import { vi } from "vitest";
import { randomSource } from "../../../control-plane/domain/testing/random-source.ts";
import { watchFailpoints } from "../../../control-plane/failpoint.ts";
import type { SeatRequest } from "../../../control-plane/objects/shard/seat-request.ts";
import { RegistryShard } from "../../../control-plane/worker.ts";
import type { AllocateRequest, Allocation, PlayerSessionTokens, Problem, SeatRef } from "../../../protocol/index.ts";
import { eventually } from "../../support/eventually.ts";
import { seatOf, type TestCluster, testShards } from "./clusters.ts";
import { call } from "./master.ts";
import { requestAllocation } from "./players.ts";

/** What becomes of an allocation on its way. */
const faults = ["none", "none", "none", "crash", "crash", "lost", "late", "unanswered", "unsigned", "slow"] as const;

/** Whoever is refused with one of these has to ask under another key, for ever. */
const ends = new Set(["TICKET_CONSUMED", "TICKET_REVOKED", "RESERVATION_CANCELLED", "TICKET_EXPIRED"]);
/** These are to be asked again. */
const passing = new Set(["INTERNAL", "ALLOCATION_IN_PROGRESS"]);

interface Asked {
  readonly key: string;
  readonly wish: AllocateRequest;
  readonly room: boolean;
  isNew: boolean;
  answer?: string;
  ended?: boolean | undefined;
}

/** @throws Error when it does not hold */
function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

interface Heard {
  readonly status: number;
  readonly text: string;
}

async function textOf(answer: Response | Promise<Response>): Promise<Heard> {
  const response = await answer;
  return { status: response.status, text: await response.text() };
}

/** One player, what was asked for, and what has left. */
export class AllocationHistory {
  readonly #random: (below: number) => number;
  readonly #clusters: readonly TestCluster[];
  readonly #player: PlayerSessionTokens;
  readonly #full: TestCluster;
  readonly #late: SeatRequest[] = [];
  readonly #asked: Asked[] = [];
  /** By ticket: the seat that has to be there, unless an operator has ended it, or its player is gone. */
  readonly #left = new Map<string, Allocation>();
  readonly #generations = new Map<number, string>();
  /** A call that hangs, and how to let it go on. */
  #slow: { readonly asked: Asked; readonly letGo: () => void; readonly response: Promise<Heard> } | undefined;
  #inGame: { readonly cluster: TestCluster; readonly seat: SeatRef } | undefined;
  readonly did: string[] = [];

  constructor(
    seed: number,
    player: PlayerSessionTokens,
    { clusters, full }: { readonly clusters: readonly TestCluster[]; readonly full: TestCluster },
  ) {
    const { below } = randomSource(seed);
    this.#random = below;
    this.#player = player;
    this.#clusters = clusters;
    this.#full = full;
  }

  async step(): Promise<void> {
    const steps = [
      async () => this.#begin(),
      async () => this.#begin(),
      async () => this.#again(),
      async () => this.#again(),
      async () => this.#arriveLate(),
      async () => this.#arriveLate(),
      async () => this.#join(),
      async () => this.#giveBack(),
      async () => this.#kick(),
      async () => this.#erase(),
      async () => this.#letGo(),
      async () => this.#wait(),
      async () => {
        if (this.#slow !== undefined) return;
        this.did.push("all memory lost");
        await abortAllDurableObjects();
      },
    ];
    // One that hangs holds up all others: not for long.
    if (this.#slow !== undefined && this.#random(3) === 0) await this.#letGo();
    else await steps[this.#random(steps.length)]?.();
    await this.#check();
  }

  /** Whatever has come of it: the player comes to a ticket, everyone leaves, and every seat is free. */
  async end(): Promise<void> {
    await this.#letGo();
    await this.#ask({ key: crypto.randomUUID(), wish: {}, room: true, isNew: true }, "none");
    while (this.#late.length > 0) await this.#arriveLate();
    await this.#check();
    if (this.#inGame !== undefined) await this.#leave();
  }

  async #begin(): Promise<void> {
    const drawn = this.#random(this.#clusters.length + 4);
    const named = this.#clusters[drawn];
    const wish =
      named !== undefined ? { clusterId: named.id } : ([{}, { region: "eu" }, { region: "default" }][drawn - 4] ?? {});
    const isFull = this.#random(6) === 0;
    const asked = {
      key: crypto.randomUUID(),
      wish: isFull ? { clusterId: this.#full.id } : wish,
      room: !isFull,
      isNew: true,
    };
    this.#asked.push(asked);
    await this.#ask(asked);
  }

  async #again(): Promise<void> {
    const asked = this.#asked.at(-1 - this.#random(3));
    if (asked !== undefined) await this.#ask(asked);
  }

  async #ask(asked: Asked, drawn = faults[this.#random(faults.length)] ?? "none"): Promise<void> {
    // A call that hangs does not outlive its object: with the memory of that, the call would be gone.
    const fault = this.#slow !== undefined && ["slow", "crash", "late"].includes(drawn) ? "none" : drawn;
    this.did.push(`${asked.key.slice(0, 4)} asks for ${JSON.stringify(asked.wish)}: ${fault}`);
    const undo = this.#arrange(fault);
    if (fault === "slow") return this.#hold(asked, textOf(this.#request(asked)));
    const response = await this.#request(asked);
    // Before the answer is read: to abort what it comes from while it does stops the runtime.
    await undo();
    await this.#hear(asked, fault, await textOf(response));
  }

  async #request({ wish, key }: Asked): Promise<Response> {
    return requestAllocation(this.#player, wish, key);
  }

  async #hear(asked: Asked, fault: (typeof faults)[number], { status, text }: Heard): Promise<void> {
    if (status === 200) return this.#take(asked, text);
    const { code }: Problem = JSON.parse(text);
    this.did.push(`  ${code}`);
    if (ends.has(code)) demand(!asked.isNew, "a new one has not ended");
    else if (passing.has(code)) demand(fault !== "none" || this.#slow !== undefined, text);
    else demand(code === "CLUSTER_FULL" && !asked.room, text);
    if (ends.has(code)) asked.ended = true;
    else demand(asked.ended !== true, "an end is for ever");
    asked.isNew = false;
  }

  /** The ticket of this call is not signed until it is let go. */
  async #hold(asked: Asked, response: Promise<Heard>): Promise<void> {
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    let isThere = false;
    const spy = vi.spyOn(crypto.subtle, "sign").mockImplementationOnce(async (...args) => {
      spy.mockRestore();
      isThere = true;
      await held;
      return crypto.subtle.sign(...args);
    });
    void response.then(() => {
      isThere = true;
    });
    // Looked for, not waited for: what comes after a promise that an object has fulfilled would run as that object's.
    await eventually(() => demand(isThere, "the ticket is about to be signed"));
    asked.isNew = false;
    spy.mockRestore();
    this.#slow = { asked, letGo, response };
  }

  async #letGo(): Promise<void> {
    if (this.#slow === undefined) return;
    const { asked, letGo, response } = this.#slow;
    this.did.push(`${asked.key.slice(0, 4)} goes on`);
    letGo();
    await this.#hear(asked, "slow", await response);
    this.#slow = undefined;
  }

  /** So long that a call which hangs has lost its turn. */
  async #wait(): Promise<void> {
    if (this.#slow === undefined) return;
    this.did.push("half a minute goes by");
    vi.setSystemTime(Date.now() + 31_000);
    for (const cluster of this.#clusters) {
      await cluster.report({ players: cluster === this.#inGame?.cluster ? 1 : 0 });
    }
    await this.#full.report();
  }

  async #erase(): Promise<void> {
    if (this.#random(3) > 0) return;
    this.did.push("the account is deleted");
    const { id } = this.#player.player;
    await env.PLAYER_SESSION.getByName(id).erase(id);
    this.#asked.length = 0;
    if (this.#slow !== undefined) this.#slow.asked.ended = undefined;
  }

  #arrange(fault: (typeof faults)[number]): () => Promise<void> {
    const late = this.#late;
    const spies: { readonly mockRestore: () => void }[] = [];
    if (fault === "lost" || fault === "late" || fault === "unanswered") {
      const spy = vi.spyOn(RegistryShard.prototype, "reserve").mockImplementationOnce(async function lost(
        this: RegistryShard,
        request,
      ) {
        if (fault === "late") late.push(structuredClone(request));
        // Mocked once: this is the real one.
        if (fault === "unanswered") await this.reserve(request);
        throw new Error("stopped by the test");
      });
      spies.push(spy);
    }
    if (fault === "unsigned") {
      spies.push(vi.spyOn(crypto.subtle, "sign").mockRejectedValueOnce(new Error("stopped by the test")));
    }
    let passed = -1;
    const at = this.#random(9);
    if (fault === "crash") {
      watchFailpoints((name) => {
        if (!name.startsWith("allocate.")) return;
        passed += 1;
        if (passed >= at) throw new Error(`stopped at ${name} by the test`);
      });
    }
    return async () => {
      watchFailpoints(undefined);
      for (const spy of spies) spy.mockRestore();
      // What comes late is most often of a session that has lost its memory.
      if (fault === "crash" || (fault === "late" && this.#random(3) > 0)) await abortAllDurableObjects();
    };
  }

  /** A ticket has left. */
  #take(asked: Asked, text: string): void {
    const allocation: Allocation = JSON.parse(text);
    const { gen, jti = "" } = decodeJwt<{ readonly gen: number }>(allocation.ticket);
    this.did.push(`  has ${allocation.reservationId.slice(0, 6)} at ${allocation.cluster.id}, generation ${gen}`);
    demand(asked.ended !== true, "an end is for ever");
    demand((asked.answer ?? text) === text, "a retry gets the identical ticket");
    demand((this.#generations.get(gen) ?? jti) === jti, "a generation has one ticket");
    asked.answer = text;
    asked.isNew = false;
    this.#generations.set(gen, jti);
    this.#left.set(jti, allocation);
  }

  /** A call that its session has given up, or forgotten, comes to its shard. */
  async #arriveLate(): Promise<void> {
    const request = this.#late.splice(this.#random(Math.max(1, this.#late.length)), 1)[0];
    if (request === undefined) return;
    this.did.push(`${request.reservationId.slice(0, 6)} comes late to ${request.shard}`);
    await env.REGISTRY_SHARD.getByName(request.shard).reserve(request);
  }

  async #join(): Promise<void> {
    if (this.#inGame !== undefined) return this.#leave();
    const { answer } = this.#asked.findLast((one) => one.answer !== undefined && one.ended === undefined) ?? {};
    if (answer === undefined) return;
    const allocation: Allocation = JSON.parse(answer);
    const cluster = this.#clusters.find(({ id }) => id === allocation.cluster.id);
    if (cluster === undefined) throw new Error("the ticket is for a cluster of this test");
    const seat = seatOf(this.#player.player, allocation.ticket);
    this.did.push(`${seat.reservationId.slice(0, 6)} joins`);
    await cluster.report({ players: 1, joined: [seat] });
    this.#inGame = { cluster, seat };
  }

  async #leave(): Promise<void> {
    const { cluster, seat } = this.#inGame ?? {};
    if (cluster === undefined || seat === undefined) return;
    this.did.push(`${seat.reservationId.slice(0, 6)} leaves`);
    this.#inGame = undefined;
    for (const [jti, { reservationId }] of this.#left) if (reservationId === seat.reservationId) this.#left.delete(jti);
    await cluster.report({ players: 0, left: [seat] });
  }

  async #giveBack(): Promise<void> {
    const given = [...this.#left.values()].at(-1);
    if (given === undefined) return;
    this.did.push(`${given.reservationId.slice(0, 6)} is given back`);
    await call("DELETE", `/v1/allocate/${given.reservationId}`, { token: this.#player.accessToken });
  }

  async #kick(): Promise<void> {
    const { id: playerId } = this.#player.player;
    if (this.#asked.length === 0) return;
    this.did.push("kicked");
    const kicked = await env.PLAYER_SESSION.getByName(playerId).revoke({ playerId, action: "kick" });
    demand(kicked.ok, "a kick is carried out");
    for (const asked of this.#asked) {
      if (asked.answer !== undefined) asked.ended = true;
    }
  }

  /** Each ticket that has left, and may still join, has a seat until its end; and shards count what they have. */
  async #check(): Promise<void> {
    const seats = await seatsNow();
    const { id } = this.#player.player;
    for (const { reservationId, expiresAt, cluster } of this.#left.values()) {
      if (this.#inGame?.seat.reservationId !== reservationId && expiresAt * 1_000 < Date.now()) continue;
      const seat = seats.find((one) => one.player === id && one.cluster === cluster.id);
      const holds = seat?.joined === reservationId || (seat?.until ?? 0) >= expiresAt * 1_000;
      demand(holds, `${reservationId} has a seat`);
    }
  }
}

/** All seats that there are, in any shard. */
export async function seatsNow(): Promise<{ player: string; cluster: string; joined: string | null; until: number }[]> {
  const found = await Promise.all(
    testShards.map(async (name) =>
      runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_: RegistryShard, { storage: { sql } }) => {
        const miscounted = sql.exec(
          "SELECT cluster_id FROM clusters WHERE seats <> (SELECT count(*) FROM seats WHERE seats.cluster_id = clusters.cluster_id)",
        );
        demand(miscounted.toArray().length === 0, "clusters count their seats");
        return sql
          .exec<{ player: string; cluster: string; joined: string | null; until: number }>(
            "SELECT player_id AS player, cluster_id AS cluster, joined_reservation AS joined, tickets_until AS until FROM seats",
          )
          .toArray();
      }),
    ),
  );
  return found.flat();
}
