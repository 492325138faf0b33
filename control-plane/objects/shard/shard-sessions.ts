import type { FenceReason } from "../../../protocol/index.ts";
import { ConsultBudget } from "../../domain/clusters/consult-budget.ts";
import { refuse, type Refusal } from "../refusal.ts";
import type { ClusterRow } from "./registry-rows.ts";
import { hashToken } from "../session-token.ts";
import type { ShardParts } from "./shard-parts.ts";

/** The sessions of a shard's clusters: which process speaks, by its token, and what that one may. */
export class ShardSessions {
  readonly #parts: Pick<ShardParts, "tables" | "registrations">;
  readonly #consults = new ConsultBudget();

  constructor(parts: Pick<ShardParts, "tables" | "registrations">) {
    this.#parts = parts;
  }

  /** The row of the cluster whose process has this token. */
  async authenticate(
    clusterId: string,
    token: string,
  ): Promise<{ readonly ok: true; readonly row: ClusterRow } | Refusal> {
    return this.find(clusterId, await hashToken(token));
  }

  /**
   * Whether a cluster may speak of its players, asking so much at once, and whether it has deregistered: then it takes no more of them,
   * and may still save what they leave with.
   */
  async mayConsult(
    clusterId: string,
    token: string,
    questions: number,
  ): Promise<{ readonly ok: true; readonly gone: boolean } | Refusal> {
    const tokenHash = await hashToken(token);
    const found = this.find(clusterId, tokenHash);
    if (!found.ok) {
      const row = this.#parts.tables.cluster(clusterId);
      // Where its key is not known, as it registered with an earlier version of the master, nobody can say that it was not revoked.
      const isLate = row?.token_hash === tokenHash && row.key_id !== "";
      if (found.code !== "CLUSTER_SESSION_INVALID" || !isLate) return found;
    }
    if (!this.#consults.take(clusterId, questions, Date.now())) {
      return refuse("RATE_LIMITED", "This cluster asks too much about players at once. Repeat the request.", 1);
    }
    return { ok: true, gone: !found.ok };
  }

  /** The same at once, for what must not meet another process in its place when it acts. */
  find(clusterId: string, tokenHash: string): { readonly ok: true; readonly row: ClusterRow } | Refusal {
    const { tables, registrations } = this.#parts;
    const row = tables.cluster(clusterId);
    if (row !== undefined && row.state !== "gone" && row.token_hash === tokenHash) return { ok: true, row };
    const fence = registrations.fenceOf(tokenHash);
    return fence === undefined
      ? refuse("CLUSTER_SESSION_INVALID", "This session has ended. Register again.")
      : fenced(fence);
  }
}

const fenceDetails = {
  "newer-process": "A newer process with this key and instance name has registered. Stop this one.",
  "key-ended": "This cluster's key was revoked, or its time after a rotation is over. Stop this process.",
  unknown: "A newer process with this key and instance name has registered, or the key has ended. Stop this one.",
} as const satisfies Record<FenceReason | "unknown", string>;

function fenced(by: FenceReason | "unknown"): Refusal {
  const refusal = refuse("CLUSTER_FENCED", fenceDetails[by]);
  return by === "unknown" ? refusal : { ...refusal, fencedBy: by };
}
