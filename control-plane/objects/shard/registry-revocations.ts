import type { LinkCommand, LinkFence, LinkReport } from "../../../protocol/index.ts";
import { heldVersion, repeatDelayMs, revokeCommands } from "../../domain/players/revocations.ts";
import { Tally } from "../../domain/metrics/tally.ts";
import { failpoint } from "../../failpoint.ts";
import { logEvent } from "../../log.ts";
import { observe } from "../../metrics.ts";
import type { RegistryLeases } from "./registry-leases.ts";
import type { ClusterRow } from "./registry-rows.ts";
import { type RevocationOrder, RevocationTables } from "./revocation-tables.ts";
import type { ShardParts } from "./shard-parts.ts";

/** After so many repeats without an answer the log says so. */
const deafAttempts = 5;

/**
 * What a shard's clusters have to be told of revoked players. The list of each is sent as soon as it changes, again until a report
 * says that it is held, and again for whoever still sits there although it is. [SEC-72]
 */
export class RegistryRevocations {
  readonly #parts: ShardParts;
  readonly #leases: RegistryLeases;
  readonly #tables: RevocationTables;
  readonly #deaf = new Tally();

  constructor(parts: ShardParts, leases: RegistryLeases) {
    this.#parts = parts;
    this.#leases = leases;
    this.#tables = new RevocationTables(parts.storage.sql);
  }

  /**
   * Takes an order of a player's session. A cluster that is not here has nothing to be told: if the player plays there all the same,
   * it is reported to the session, which orders it anew.
   */
  revoke(order: RevocationOrder, nowMs: number): void {
    const { storage, tables } = this.#parts;
    const { clusterId } = order;
    if (tables.cluster(clusterId) === undefined) return;
    storage.transactionSync(() => {
      if (this.#tables.put(order)) this.#tables.putRepeat(clusterId, 0, nowMs + repeatDelayMs(0, Math.random()));
    });
    failpoint("ban.listed");
    this.#push(clusterId);
  }

  /** What the answer to a report has to say; the report has been applied. */
  answer(row: ClusterRow, report: Pick<LinkReport, "revocations">, nowMs: number): readonly LinkCommand[] {
    const { cluster_id: clusterId } = row;
    const { storage } = this.#parts;
    const { revocations: claimed } = report;
    if (claimed !== this.#tables.held(clusterId)) this.#tables.setHeld(clusterId, claimed);
    const held = this.#held(clusterId);
    if (held > 0 && this.#tables.hasPending(clusterId)) {
      const lags = storage.transactionSync(() => {
        const taken = this.#tables.noteHeld(clusterId, held, nowMs);
        if (!this.#tables.hasPending(clusterId)) this.#tables.deleteRepeat(clusterId);
        return taken;
      });
      for (const lagMs of lags) {
        observe("revocation", lagMs / 1_000);
        logEvent("info", "revocation.held", { clusterId, lagMs });
      }
    }
    return this.#due(clusterId);
  }

  /** Every order that is kept for a cluster. */
  ordersFor(clusterId: string): RevocationOrder[] {
    return this.#tables.orders(clusterId);
  }

  /** A process has registered: it may be another one, and its list begins anew. */
  startOver(clusterId: string): void {
    this.#tables.setHeld(clusterId, undefined);
  }

  /** Tells those again that have not answered, and forgets what matters no more. To be called by the alarm. */
  sweep(nowMs: number): void {
    const { storage, tables, links } = this.#parts;
    for (const { clusterId, attempts, dueAtMs } of this.#tables.repeats()) {
      if (dueAtMs > nowMs) continue;
      // Without a link there is nobody to tell: the answer to its next report does.
      if (!this.#tables.hasPending(clusterId) || !links.isOpen(clusterId)) {
        this.#tables.deleteRepeat(clusterId);
        continue;
      }
      this.#tables.putRepeat(clusterId, attempts + 1, nowMs + repeatDelayMs(attempts + 1, Math.random()));
      this.#push(clusterId);
      const count = attempts < deafAttempts ? undefined : this.#deaf.add(clusterId, 1, nowMs);
      if (count !== undefined) logEvent("warn", "revocation.unanswered", { clusterId, attempts });
    }
    storage.transactionSync(() => {
      for (const row of tables.presentClusters()) {
        this.#tables.forget(row.cluster_id, this.#leases.accountedAtMs(row, false));
      }
      this.#tables.forgetOrphans();
    });
  }

  nextRepeatAtMs(): number | undefined {
    return this.#tables.nextRepeatAtMs();
  }

  #push(clusterId: string): void {
    this.#parts.links.send(clusterId, this.#due(clusterId));
  }

  #held(clusterId: string): number {
    return heldVersion(this.#tables.held(clusterId), this.#tables.newestVersion());
  }

  #due(clusterId: string): readonly LinkCommand[] {
    const due = this.#tables.due(clusterId, this.#held(clusterId));
    const commands = revokeCommands(this.#held(clusterId), due);
    if (commands.length === 0 || this.#tables.held(clusterId) !== undefined) return commands;
    // One that has never said how far it holds the list may be of a version that knows fences alone.
    const fences = due.map(({ playerId, minGeneration }): LinkFence => ({
      type: "fence",
      playerId,
      generation: minGeneration,
    }));
    return [...commands, ...fences];
  }
}
