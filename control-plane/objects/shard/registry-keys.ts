import type { LinkKeys, LinkReport } from "../../../protocol/index.ts";
import { repeatDelayMs } from "../../domain/players/revocations.ts";
import type { KeyAnnouncement } from "../key/key-announcement.ts";
import type { ClusterRow } from "./registry-rows.ts";
import { noteRevokedKeys } from "../key/signing-key.ts";
import type { ShardParts } from "./shard-parts.ts";

/** Part of the schema of a registry shard. */
export const registryKeysSchema = `
  CREATE TABLE key_set (version INTEGER NOT NULL, revoked TEXT NOT NULL, noted_at INTEGER NOT NULL) STRICT;
`;

/** What each cluster says that it holds, and when those are told again that have said so of an earlier set. */
export const keyRepeatsSchema = `
  ALTER TABLE clusters ADD COLUMN keys_held INTEGER;
  ALTER TABLE key_set ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE key_set ADD COLUMN repeat_at INTEGER;
`;

/** For so long a cluster is told that has never said which set it holds: one of an earlier version fetches by itself in this time. */
const insistMs = 15 * 60_000;

interface KnownKeys extends KeyAnnouncement {
  readonly notedAtMs: number;
  readonly attempts: number;
  readonly repeatAtMs: number | undefined;
}

/** What a shard knows of the published key set, and tells its clusters. */
export class RegistryKeys {
  readonly #parts: ShardParts;
  /** As it was read last, while nothing has changed it: every allocation asks. `null`: nothing was announced yet. */
  #known: KnownKeys | null | undefined;

  constructor(parts: ShardParts) {
    this.#parts = parts;
  }

  /** The ring says that its set has changed. An older word than the last one changes nothing. */
  note(announcement: KeyAnnouncement, nowMs: number): void {
    const { storage, tables, links } = this.#parts;
    if (announcement.version < (this.#read()?.version ?? 0)) return;
    this.#known = undefined;
    storage.transactionSync(() => {
      storage.sql.exec("DELETE FROM key_set");
      storage.sql.exec(
        "INSERT INTO key_set (version, revoked, noted_at, repeat_at) VALUES (?, ?, ?, ?)",
        announcement.version,
        JSON.stringify(announcement.revoked),
        nowMs,
        nowMs + repeatDelayMs(0, Math.random()),
      );
    });
    for (const { cluster_id: clusterId } of tables.presentClusters()) links.send(clusterId, [command(announcement)]);
  }

  /** What the answer to a report has to say. */
  answer(
    row: Pick<ClusterRow, "cluster_id" | "keys_held">,
    report: Pick<LinkReport, "keys">,
    nowMs: number,
  ): readonly LinkKeys[] {
    if ((report.keys ?? null) !== row.keys_held) this.#setHeld(row.cluster_id, report.keys);
    const known = this.#read();
    if (known === undefined || report.keys === known.version) return [];
    if (report.keys === undefined && nowMs - known.notedAtMs > insistMs) return [];
    return [command(known)];
  }

  /** A process has registered: it may be another one, and has said nothing yet. */
  startOver(clusterId: string): void {
    this.#setHeld(clusterId, undefined);
  }

  /**
   * Tells those again whose link is up and who hold an earlier set: word was lost, or the set could not be fetched. Who has never said
   * what it holds may be of a version that never will; that one is told with its reports. To be called by the alarm.
   */
  sweep(nowMs: number): void {
    const { storage, links } = this.#parts;
    const known = this.#read();
    if (known?.repeatAtMs === undefined || known.repeatAtMs > nowMs) return;
    const behind = storage.sql
      .exec<{ id: string }>(
        "SELECT cluster_id AS id FROM clusters WHERE state <> 'gone' AND linked = 1 AND keys_held <> ?",
        known.version,
      )
      .toArray()
      .filter(({ id }) => links.isOpen(id));
    for (const { id } of behind) links.send(id, [command(known)]);
    const attempts = known.attempts + 1;
    this.#known = undefined;
    storage.sql.exec(
      "UPDATE key_set SET attempts = ?, repeat_at = ?",
      attempts,
      behind.length === 0 ? null : nowMs + repeatDelayMs(attempts, Math.random()),
    );
  }

  nextRepeatAtMs(): number | undefined {
    return this.#read()?.repeatAtMs;
  }

  #setHeld(clusterId: string, held: number | undefined): void {
    this.#parts.storage.sql.exec("UPDATE clusters SET keys_held = ? WHERE cluster_id = ?", held ?? null, clusterId);
  }

  /** Keys that must not sign what is for this shard's clusters. */
  revoked(): readonly string[] {
    return this.#read()?.revoked ?? [];
  }

  #read(): KnownKeys | undefined {
    if (this.#known === undefined) this.#known = this.#stored() ?? null;
    return this.#known ?? undefined;
  }

  #stored(): KnownKeys | undefined {
    const row = this.#parts.storage.sql
      .exec<{ version: number; revoked: string; noted_at: number; attempts: number; repeat_at: number | null }>(
        "SELECT * FROM key_set",
      )
      .toArray()[0];
    if (row === undefined) return undefined;
    const revoked: string[] = JSON.parse(row.revoked);
    noteRevokedKeys(revoked);
    return {
      version: row.version,
      revoked,
      notedAtMs: row.noted_at,
      attempts: row.attempts,
      repeatAtMs: row.repeat_at ?? undefined,
    };
  }
}

function command({ version, revoked }: KeyAnnouncement): LinkKeys {
  return { type: "keys", version, revoked: [...revoked] };
}
