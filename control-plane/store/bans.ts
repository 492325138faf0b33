import { and, desc, eq, gt, isNull, lt, or, sql, type SQL } from "drizzle-orm";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { bans } from "./schema.ts";

/** A ban as people look it up. Times are milliseconds since 1970. */
export interface BanRecord {
  readonly id: string;
  readonly playerId: string;
  readonly reason: string;
  /** For operators. */
  readonly note: string;
  /** `undefined`: for good. */
  readonly untilMs: number | undefined;
  readonly bannedAtMs: number;
  readonly bannedBy: string;
  readonly liftedAtMs: number | undefined;
  readonly liftedBy: string | undefined;
}

/**
 * Writes a ban, or that it was lifted. Repeating it changes nothing, and the two may come in either order: what one of them knows
 * the other does not take away.
 *
 * @throws DatabaseError
 */
export async function saveBan(address: DatabaseAddress, record: BanRecord): Promise<void> {
  const { untilMs = null, liftedAtMs = null, liftedBy = null, ...rest } = record;
  await withDatabase(address, async (database) =>
    database
      .insert(bans)
      .values({ ...rest, untilMs, liftedAtMs, liftedBy })
      .onConflictDoUpdate({
        target: bans.id,
        set: {
          note: sql`CASE WHEN ${bans.note} = '' THEN excluded.note ELSE ${bans.note} END`,
          bannedBy: sql`CASE WHEN ${bans.bannedBy} = '' THEN excluded.banned_by ELSE ${bans.bannedBy} END`,
          liftedAtMs: sql`coalesce(${bans.liftedAtMs}, excluded.lifted_at)`,
          liftedBy: sql`coalesce(${bans.liftedBy}, excluded.lifted_by)`,
        },
      }),
  );
}

/** Which bans, the newest first. */
export interface BanQuery {
  readonly playerId?: string | undefined;
  /** Only those that are in force at this time. */
  readonly inForceAtMs?: number | undefined;
  /** The last one of the page before. */
  readonly after?: Pick<BanRecord, "bannedAtMs" | "id"> | undefined;
  readonly limit: number;
}

/** A page of bans. @throws DatabaseError */
export async function selectBans(address: DatabaseAddress, query: BanQuery): Promise<readonly BanRecord[]> {
  const { playerId, inForceAtMs, after, limit } = query;
  const conditions: (SQL | undefined)[] = [
    playerId === undefined ? undefined : eq(bans.playerId, playerId),
    inForceAtMs === undefined
      ? undefined
      : and(isNull(bans.liftedAtMs), or(isNull(bans.untilMs), gt(bans.untilMs, inForceAtMs))),
    after === undefined
      ? undefined
      : or(lt(bans.bannedAtMs, after.bannedAtMs), and(eq(bans.bannedAtMs, after.bannedAtMs), lt(bans.id, after.id))),
  ];
  const rows = await withDatabase(address, async (database) =>
    database
      .select()
      .from(bans)
      .where(and(...conditions))
      .orderBy(desc(bans.bannedAtMs), desc(bans.id))
      .limit(limit),
  );
  return rows.map(recordOf);
}

function recordOf(row: typeof bans.$inferSelect): BanRecord {
  return {
    ...row,
    untilMs: row.untilMs ?? undefined,
    liftedAtMs: row.liftedAtMs ?? undefined,
    liftedBy: row.liftedBy ?? undefined,
  };
}
