import { and, desc, eq, gt, isNull, lt, or } from "drizzle-orm";
import { clusterKeyId, type ClusterPublicKey, parseClusterPublicKey } from "../../auth/cluster-assertion.ts";
import { type DatabaseAddress, withDatabase } from "./database.ts";
import { clusterKeys } from "./schema.ts";

/** An enrolled key, as operators see it. */
export interface ClusterKeyEntry {
  readonly keyId: string;
  readonly name: string;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | undefined;
  /** When it ends by itself, as another has taken its place. */
  readonly retiresAtMs: number | undefined;
}

/**
 * Lets clusters with this key register, and returns the key's id. A key that is enrolled already keeps its date and takes the
 * new name; one that was revoked stays so: make a new one.
 *
 * @throws DatabaseError
 * @throws RangeError when the key was revoked
 */
export async function enrolClusterKey(
  address: DatabaseAddress,
  key: { readonly name: string; readonly publicKey: ClusterPublicKey },
): Promise<string> {
  const { kty, crv, x } = key.publicKey;
  const keyId = await clusterKeyId(key.publicKey);
  const publicJwk = JSON.stringify({ kty, crv, x });
  const rows = await withDatabase(address, async (database) =>
    database
      .insert(clusterKeys)
      .values({ keyId, publicJwk, name: key.name, createdAtMs: Date.now() })
      .onConflictDoUpdate({
        target: clusterKeys.keyId,
        set: { name: key.name },
        setWhere: isNull(clusterKeys.revokedAtMs),
      })
      .returning({ keyId: clusterKeys.keyId }),
  );
  if (rows.length === 0) throw new RangeError(`the key ${keyId} was revoked: make a new one`);
  return keyId;
}

/** Ends a key for good. False when there is no such key, or it was revoked before. @throws DatabaseError */
export async function revokeClusterKey(address: DatabaseAddress, keyId: string): Promise<boolean> {
  return withDatabase(address, async (database) => {
    const rows = await database.select().from(clusterKeys).where(eq(clusterKeys.keyId, keyId));
    const row = rows[0];
    if (row === undefined || row.revokedAtMs !== null) return false;
    await database.update(clusterKeys).set({ revokedAtMs: Date.now() }).where(eq(clusterKeys.keyId, keyId));
    return true;
  });
}

/** All keys, the newest first. @throws DatabaseError */
export async function listClusterKeys(address: DatabaseAddress): Promise<readonly ClusterKeyEntry[]> {
  const rows = await withDatabase(address, async (database) =>
    database.select().from(clusterKeys).orderBy(desc(clusterKeys.createdAtMs), clusterKeys.keyId),
  );
  return rows.map(entryOf);
}

/** Where a page of keys begins: after this one. */
export interface ClusterKeyPosition {
  readonly createdAtMs: number;
  readonly keyId: string;
}

/** A page of the keys, the newest first. @throws DatabaseError */
export async function pageClusterKeys(
  address: DatabaseAddress,
  after: ClusterKeyPosition | undefined,
  limit: number,
): Promise<readonly ClusterKeyEntry[]> {
  const { createdAtMs, keyId } = clusterKeys;
  const later =
    after === undefined
      ? undefined
      : or(lt(createdAtMs, after.createdAtMs), and(eq(createdAtMs, after.createdAtMs), gt(keyId, after.keyId)));
  const rows = await withDatabase(address, async (database) =>
    database.select().from(clusterKeys).where(later).orderBy(desc(createdAtMs), keyId).limit(limit),
  );
  return rows.map(entryOf);
}

/** A key, whatever has become of it. @throws DatabaseError */
export async function clusterKeyEntry(address: DatabaseAddress, keyId: string): Promise<ClusterKeyEntry | undefined> {
  const rows = await withDatabase(address, async (database) =>
    database.select().from(clusterKeys).where(eq(clusterKeys.keyId, keyId)),
  );
  return rows.map(entryOf)[0];
}

/** Notes when a key ends by itself. @throws DatabaseError */
export async function noteKeyRetirement(address: DatabaseAddress, keyId: string, atMs: number): Promise<void> {
  await withDatabase(address, async (database) =>
    database.update(clusterKeys).set({ retiresAtMs: atMs }).where(eq(clusterKeys.keyId, keyId)),
  );
}

function entryOf(row: typeof clusterKeys.$inferSelect): ClusterKeyEntry {
  const { keyId, name, createdAtMs, revokedAtMs, retiresAtMs } = row;
  return { keyId, name, createdAtMs, revokedAtMs: revokedAtMs ?? undefined, retiresAtMs: retiresAtMs ?? undefined };
}

/** The public key of `keyId` if clusters may register with it. @throws DatabaseError */
export async function findClusterKey(
  address: DatabaseAddress,
  keyId: string,
  timeoutMs?: number,
): Promise<ClusterPublicKey | undefined> {
  const rows = await withDatabase(
    address,
    async (database) => database.select().from(clusterKeys).where(eq(clusterKeys.keyId, keyId)),
    timeoutMs,
  );
  const row = rows[0];
  if (row === undefined || row.revokedAtMs !== null) return undefined;
  return parseClusterPublicKey(JSON.parse(row.publicJwk));
}
