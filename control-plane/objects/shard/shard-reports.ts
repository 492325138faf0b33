import type { LinkCommand, LinkReport } from "../../../protocol/index.ts";
import type { Refusal } from "../refusal.ts";
import type { RegistryKeys } from "./registry-keys.ts";
import type { RegistryRevocations } from "./registry-revocations.ts";
import type { ClusterRow } from "./registry-rows.ts";
import type { RegistrySeats } from "./registry-seats.ts";
import type { ShardOrders } from "./shard-orders.ts";
import type { ShardParts } from "./shard-parts.ts";

/** What of a shard has something to say to a cluster that reports. */
export interface ReportParts {
  readonly seats: RegistrySeats;
  readonly orders: ShardOrders;
  readonly revocations: RegistryRevocations;
  readonly keys: RegistryKeys;
}

/** Takes clusters' reports, over the link and over HTTPS. */
export class ShardReports {
  readonly #parts: Pick<ShardParts, "standings">;
  readonly #others: ReportParts;

  constructor(parts: Pick<ShardParts, "standings">, others: ReportParts) {
    this.#parts = parts;
    this.#others = others;
  }

  /** Applies a report; the acknowledgement, and what else the cluster has to be told. Repeating it is harmless. */
  take(
    row: ClusterRow,
    report: LinkReport,
    overLink: boolean,
  ): { readonly ok: true; readonly commands: readonly LinkCommand[] } | Refusal {
    const { seats, orders, revocations, keys } = this.#others;
    const nowMs = Date.now();
    const applied = seats.report(row, report, { overLink, nowMs });
    if (!applied.ok) return applied;
    // Its world hears of it if it is full now, or no longer.
    if (row.world !== "") this.#parts.standings.note(row.cluster_id);
    const commands = [
      ...applied.commands,
      ...orders.commandsFor(row, report, nowMs),
      ...revocations.answer(row, report, nowMs),
      ...keys.answer(row, report, nowMs),
    ];
    return { ok: true, commands };
  }
}
