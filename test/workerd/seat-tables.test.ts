import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { isVacant, type Seat, ticketsUntilMs } from "../../control-plane/domain/clusters/seats.ts";
import { randomSource } from "../../control-plane/domain/testing/random-source.ts";
import { ClusterMemory } from "../../control-plane/objects/shard/cluster-memory.ts";
import { SeatTables } from "../../control-plane/objects/shard/seat-tables.ts";

const clusters = ["tables.one", "tables.two", "tables.three"];
const players = Array.from({ length: 12 }, (_, index) => `player-${String(index).padStart(2, "0")}`);
const steps = 3_000;

/** The same, by looking at all there is. */
class Model {
  readonly seats = new Map<string, { readonly clusterId: string; readonly seat: Seat; readonly returned: string }>();

  put(clusterId: string, seat: Seat): void {
    const key = `${clusterId} ${seat.playerId}`;
    this.seats.set(key, { clusterId, seat, returned: this.seats.get(key)?.returned ?? "" });
  }

  delete(clusterId: string, playerId: string): void {
    this.seats.delete(`${clusterId} ${playerId}`);
  }

  giveBack(clusterId: string, playerId: string, reservationId: string): void {
    const kept = this.seats.get(`${clusterId} ${playerId}`);
    if (kept !== undefined) this.seats.set(`${clusterId} ${playerId}`, { ...kept, returned: reservationId });
  }

  at(clusterId: string): Seat[] {
    return [...this.seats.values()].filter((kept) => kept.clusterId === clusterId).map(({ seat }) => seat);
  }

  returnedAt(clusterId: string): string[] {
    return [...this.seats.values()]
      .filter(({ clusterId: at, seat, returned }) => at === clusterId && seat.hold?.reservationId === returned)
      .map(({ returned }) => returned)
      .toSorted();
  }
}

function byPlayer(seats: readonly Seat[]): Seat[] {
  return seats.toSorted((one, other) => one.playerId.localeCompare(other.playerId));
}

/** Does something in a transaction that comes to nothing. */
function undone(storage: ClusterMemory, step: () => void): string[] {
  try {
    storage.transactionSync(() => {
      step();
      throw new Error("undone");
    });
  } catch (error) {
    return [String(error instanceof Error ? error.message : error)];
  }
  return [];
}

describe("the seats of a shard as they are stored", () => {
  it("are those of a list that is looked through as a whole, after thousands of changes, some of them undone, and new starts", async () => {
    const { below: random } = randomSource(7);
    const model = new Model();
    await runInDurableObject(env.REGISTRY_SHARD.getByName("tables.0"), (_, { storage }) => {
      let memory = new ClusterMemory(storage);
      let tables = new SeatTables(memory);
      let nowMs = 1_000_000;
      let ended = 0;
      const someSeat = (playerId: string, step: number): Seat => ({
        playerId,
        joined: random(3) === 0 ? { reservationId: `joined-${step}`, generation: step } : undefined,
        hold:
          random(5) === 0
            ? undefined
            : {
                reservationId: `hold-${step}`,
                generation: step,
                untilMs: nowMs + random(500),
                ...(random(4) === 0 ? { ofParty: true } : {}),
              },
        earlierUntilMs: random(4) === 0 ? nowMs + random(300) : 0,
        fence: random(6) === 0 ? step : undefined,
      });
      for (let step = 0; step < steps; step += 1) {
        nowMs += random(10);
        const clusterId = clusters[random(clusters.length)] ?? "";
        const playerId = players[random(players.length)] ?? "";
        const before = tables.at(clusterId, playerId);
        expect(before).toEqual(model.seats.get(`${clusterId} ${playerId}`)?.seat);
        let [found, wanted]: (readonly unknown[])[] = [[], []];
        switch (random(9)) {
          case 0:
            tables.delete(clusterId, playerId);
            model.delete(clusterId, playerId);
            break;
          case 1: {
            const reservationId = before?.hold?.reservationId ?? "none";
            tables.setGivenBack({ clusterId, playerId }, reservationId);
            model.giveBack(clusterId, playerId, reservationId);
            break;
          }
          case 2: {
            const atMs = nowMs - random(200);
            const gone = tables.ended(clusterId, atMs);
            found = byPlayer(gone);
            wanted = byPlayer(model.at(clusterId).filter((seat) => isVacant(seat, atMs)));
            ended += gone.length;
            for (const seat of gone) {
              tables.delete(clusterId, seat.playerId);
              model.delete(clusterId, seat.playerId);
            }
            break;
          }
          case 3:
            found = tables
              .cancelsOf(clusterId)
              .map(({ reservationId }) => reservationId)
              .toSorted();
            wanted = model.returnedAt(clusterId);
            break;
          case 4: {
            found = undone(memory, () => {
              if (random(3) === 0) tables.delete(clusterId, playerId);
              tables.put(clusterId, someSeat(playerId, step));
              tables.setGivenBack({ clusterId, playerId }, `hold-${step}`);
              if (random(3) === 0) tables.clear(clusterId);
            });
            wanted = ["undone"];
            break;
          }
          case 5: {
            if (random(20) !== 0) break;
            if (random(3) === 0) {
              tables.clear(clusterId);
              for (const id of players) model.delete(clusterId, id);
              break;
            }
            memory = new ClusterMemory(storage);
            tables = new SeatTables(memory);
            break;
          }
          default: {
            const seat = someSeat(playerId, step);
            if (before === undefined && random(2) === 0) tables.add(clusterId, seat);
            else tables.put(clusterId, seat, random(2) === 0 ? before : undefined);
            model.put(clusterId, seat);
          }
        }
        expect(found).toEqual(wanted);
        const held = model.seats.get(`${clusterId} ${playerId}`)?.seat.hold;
        if (held === undefined) continue;
        expect(tables.placesOf(held.reservationId, playerId)).toEqual([{ clusterId, playerId }]);
        expect(tables.placesOf(held.reservationId)).toEqual([{ clusterId, playerId }]);
        expect(tables.holdersOf(held.reservationId)).toEqual(held.ofParty === true ? [{ clusterId, playerId }] : []);
      }
      expect(ended).toBeGreaterThan(steps / 30);
      for (const clusterId of clusters) {
        const kept = model.at(clusterId);
        expect(byPlayer(tables.all(clusterId))).toEqual(byPlayer(kept));
        const fenced = kept.flatMap(({ playerId, fence }) => (fence === undefined ? [] : [`${playerId} ${fence}`]));
        const fences = tables.fencesOf(clusterId).map(({ playerId, generation }) => `${playerId} ${generation}`);
        expect(fences.toSorted()).toEqual(fenced.toSorted());
        const latest = Math.max(0, ...kept.map(ticketsUntilMs));
        expect(tables.ended(clusterId, latest)).toHaveLength(kept.filter(({ joined }) => joined === undefined).length);
      }
      // None of them is of a cluster that there is.
      tables.forgetOrphans();
      for (const { clusterId, seat } of model.seats.values()) {
        expect(tables.at(clusterId, seat.playerId)).toBeUndefined();
      }
    });
  });
});
