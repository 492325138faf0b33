import { joinsAllowed } from "../../domain/allocation/join-rate.ts";
import { freePlaces } from "../../domain/clusters/seats.ts";
import { EmptiedQueues } from "../../domain/waiting/emptied-queues.ts";
import type { ClusterRoom } from "../../domain/waiting/waiting-calls.ts";
import {
  awaitedSinceMs,
  isSpokenFor,
  leastAwaited,
  maxGates,
  type QueueGate,
  type QueuePass,
} from "../../domain/waiting/waiting-gate.ts";
import type { ClusterFacts } from "../../domain/allocation/selector.ts";
import { type ChoosableRow, joinRateOf } from "./registry-rows.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Most clusters that are named to a queue. */
const maxRooms = 16;
/** Most places of one cluster that are named: the next look comes in a second. */
const maxRoomPlaces = 256;
/** A gate is stored anew only when less than this is left, or when something in it has changed but how many wait. */
const renewalMs = 10_000;

/**
 * Who waits for seats of this shard. Stored, so that nobody gets ahead of them while the shard starts anew; kept in memory, so
 * that an allocation looks nothing up while nobody waits.
 */
export class RegistryQueues {
  readonly #parts: ShardParts;
  readonly #gates: Map<string, QueueGate>;
  readonly #emptied = new EmptiedQueues();

  constructor(parts: ShardParts) {
    this.#parts = parts;
    const rows = parts.storage.sql.exec<{ gate: string }>("SELECT gate FROM queue_gates").toArray();
    this.#gates = new Map(
      rows.map((row) => {
        const gate: QueueGate = JSON.parse(row.gate);
        return [gate.queue, gate];
      }),
    );
  }

  /** Notes that somebody waits, or that nobody does any more (`untilMs` in the past). */
  note(gate: QueueGate, nowMs: number): void {
    const known = this.#gates.get(gate.queue);
    if (known !== undefined && known.saidAtMs > gate.saidAtMs) return;
    if (this.#emptied.hasSaidSo(gate.queue, gate.saidAtMs)) return;
    if (gate.untilMs <= nowMs) {
      this.#emptied.note(gate.queue, gate.saidAtMs, nowMs);
      if (known !== undefined) this.#forget(gate.queue);
      return;
    }
    for (const { queue, untilMs } of this.#gates.values()) if (untilMs <= nowMs) this.#forget(queue);
    if (known === undefined && this.#gates.size >= maxGates) {
      const least = leastAwaited(this.#gates.values(), gate);
      if (least === gate) return;
      // Should it be wanted again, its queue says so within seconds.
      this.#forget(least.queue);
    }
    const isStored = known !== undefined && isSame(known, gate) && known.untilMs - nowMs > renewalMs;
    const { saidAtMs, waiting } = gate;
    this.#gates.set(gate.queue, isStored ? { ...known, saidAtMs, waiting } : gate);
    if (isStored) return;
    this.#parts.storage.sql.exec(
      "INSERT OR REPLACE INTO queue_gates (queue, gate, until_at) VALUES (?, ?, ?)",
      gate.queue,
      JSON.stringify(gate),
      gate.untilMs,
    );
  }

  /** Why a cluster's room is not for this one. */
  withheld(
    row: ChoosableRow,
    facts: () => ClusterFacts,
    pass: QueuePass | undefined,
    nowMs: number,
  ): "awaited" | "join-rate" | undefined {
    const { cluster_id: clusterId, capacity } = row;
    if (this.#gates.size > 0 && isSpokenFor({ clusterId, capacity, facts: facts() }, this.#gates.values(), pass, nowMs))
      return "awaited";
    return joinsAllowed(joinRateOf(row), nowMs) === 0 ? "join-rate" : undefined;
  }

  /** Where those of a queue can have seats now. */
  capacity(
    gate: QueueGate,
    rows: readonly ChoosableRow[],
    factsOf: (row: ChoosableRow) => ClusterFacts,
    nowMs: number,
  ) {
    // Nothing is kept from the queue that it is kept for.
    const { queue } = gate;
    return rows
      .slice(0, maxRooms)
      .filter((row) => {
        const sinceMs = awaitedSinceMs(gate, row.capacity) ?? gate.sinceMs;
        const pass = { queue, sinceMs, clusterId: row.cluster_id };
        return this.withheld(row, () => factsOf(row), pass, nowMs) === undefined;
      })
      .map((row): ClusterRoom => {
        const whole = Math.min(freePlaces(row), maxRoomPlaces);
        const places = Math.min(whole, joinsAllowed(joinRateOf(row), nowMs));
        return { clusterId: row.cluster_id, places, whole, capacity: row.capacity };
      })
      .filter(({ places }) => places > 0);
  }

  #forget(queue: string): void {
    this.#gates.delete(queue);
    this.#parts.storage.sql.exec("DELETE FROM queue_gates WHERE queue = ?", queue);
  }
}

function isSame(a: QueueGate, b: QueueGate): boolean {
  const said = ({ sinceMs, firsts, kept }: QueueGate) => JSON.stringify([sinceMs, firsts, kept]);
  return said(a) === said(b);
}
