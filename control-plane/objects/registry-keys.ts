import type { LinkKeys, LinkReport } from "../../protocol/index.ts";
import type { KeyAnnouncement } from "./key-announcement.ts";
import { noteRevokedKeys } from "./signing-key.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Part of the schema of a registry shard. */
export const registryKeysSchema = `
  CREATE TABLE key_set (version INTEGER NOT NULL, revoked TEXT NOT NULL, noted_at INTEGER NOT NULL) STRICT;
`;

/** For so long a cluster is told that has never said which set it holds: one of an earlier version fetches by itself in this time. */
const insistMs = 15 * 60_000;

/** What a shard knows of the published key set, and tells its clusters. */
export class RegistryKeys {
  readonly #parts: ShardParts;

  constructor(parts: ShardParts) {
    this.#parts = parts;
  }

  /** The ring says that its set has changed. An older word than the last one changes nothing. */
  note(announcement: KeyAnnouncement, nowMs: number): void {
    const { storage, tables, links } = this.#parts;
    if (announcement.version < (this.#read()?.version ?? 0)) return;
    storage.transactionSync(() => {
      storage.sql.exec("DELETE FROM key_set");
      storage.sql.exec(
        "INSERT INTO key_set (version, revoked, noted_at) VALUES (?, ?, ?)",
        announcement.version,
        JSON.stringify(announcement.revoked),
        nowMs,
      );
    });
    for (const { cluster_id: clusterId } of tables.presentClusters()) links.send(clusterId, [command(announcement)]);
  }

  /** What the answer to a report has to say. */
  answer(report: Pick<LinkReport, "keys">, nowMs: number): readonly LinkKeys[] {
    const known = this.#read();
    if (known === undefined || report.keys === known.version) return [];
    if (report.keys === undefined && nowMs - known.notedAtMs > insistMs) return [];
    return [command(known)];
  }

  /** Keys that must not sign what is for this shard's clusters. */
  revoked(): readonly string[] {
    return this.#read()?.revoked ?? [];
  }

  #read(): (KeyAnnouncement & { readonly notedAtMs: number }) | undefined {
    const row = this.#parts.storage.sql
      .exec<{ version: number; revoked: string; noted_at: number }>("SELECT * FROM key_set")
      .toArray()[0];
    if (row === undefined) return undefined;
    const revoked: string[] = JSON.parse(row.revoked);
    noteRevokedKeys(revoked);
    return { version: row.version, revoked, notedAtMs: row.noted_at };
  }
}

function command({ version, revoked }: KeyAnnouncement): LinkKeys {
  return { type: "keys", version, revoked: [...revoked] };
}
