import { and, asc, desc, eq, gt, gte, lt, lte, type SQL } from "drizzle-orm";
import type { AuditRow } from "../domain/operators/audit-chain.ts";
import type { AuditQuery } from "../domain/operators/audit-query.ts";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { auditLog } from "./schema.ts";

/** Rows of that number in the database are not the ones that were to be written. */
export class AuditDivergence extends Error {
  override readonly name = "AuditDivergence";
  readonly sequence: number;

  constructor(sequence: number) {
    super(`the database holds another row ${sequence} of the audit log`);
    this.sequence = sequence;
  }
}

/**
 * Writes rows that follow each other; those that are there already stay as they are.
 *
 * @throws DatabaseError
 * @throws AuditDivergence
 */
export async function insertAuditRows(address: DatabaseAddress, rows: readonly AuditRow[]): Promise<void> {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return;
  const [, found] = await withDatabase(address, async (database) =>
    database.batch([
      database
        .insert(auditLog)
        .values([...rows])
        .onConflictDoNothing(),
      database
        .select({ sequence: auditLog.sequence, hash: auditLog.hash })
        .from(auditLog)
        .where(and(gte(auditLog.sequence, first.sequence), lte(auditLog.sequence, last.sequence))),
    ]),
  );
  const hashes = new Map(found.map(({ sequence, hash }) => [sequence, hash]));
  const strange = rows.find(({ sequence, hash }) => hashes.get(sequence) !== hash);
  if (strange !== undefined) throw new AuditDivergence(strange.sequence);
}

/** A page of the log. @throws DatabaseError */
export async function selectAuditRows(address: DatabaseAddress, query: AuditQuery): Promise<readonly AuditRow[]> {
  const { order, position, below, filters, limit } = query;
  const conditions: (SQL | undefined)[] = [
    position === undefined
      ? undefined
      : order === "asc"
        ? gt(auditLog.sequence, position)
        : lt(auditLog.sequence, position),
    below === undefined ? undefined : lt(auditLog.sequence, below),
    filters.actor === undefined ? undefined : eq(auditLog.actor, filters.actor),
    filters.action === undefined ? undefined : eq(auditLog.action, filters.action),
    filters.target === undefined ? undefined : eq(auditLog.target, filters.target),
    filters.requestId === undefined ? undefined : eq(auditLog.requestId, filters.requestId),
    filters.sinceMs === undefined ? undefined : gte(auditLog.atMs, filters.sinceMs),
    filters.untilMs === undefined ? undefined : lt(auditLog.atMs, filters.untilMs),
  ];
  return withDatabase(address, async (database) =>
    database
      .select()
      .from(auditLog)
      .where(and(...conditions))
      .orderBy(order === "asc" ? asc(auditLog.sequence) : desc(auditLog.sequence))
      .limit(limit),
  );
}
