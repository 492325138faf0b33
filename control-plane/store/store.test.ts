import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClusterPublicKey, clusterKeyId, parseClusterPublicKey } from "../../auth/cluster-assertion.ts";
import { type LibsqlServer, startLibsqlServer } from "../../dev/libsql/server.ts";
import { enrolClusterKey, findClusterKey, listClusterKeys, revokeClusterKey } from "./cluster-keys.ts";
import { DatabaseError } from "./database.ts";
import { migrate } from "./migrate.ts";

const authToken = "a-token-for-tests";
let folder: string;
let server: LibsqlServer;
let address: { url: string; authToken: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sustenet-store-"));
  server = await startLibsqlServer({ file: join(folder, "turso.db"), authToken });
  address = { url: server.url, authToken };
  await migrate(address);
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function createKey(): Promise<ClusterPublicKey> {
  const { publicKey } = await generateKeyPair("Ed25519", { extractable: true });
  const parsed = parseClusterPublicKey(await exportJWK(publicKey));
  if (parsed === undefined) throw new Error("a new key parses");
  return parsed;
}

it("says where the database is that cannot be reached, and no token that may be in its address", async () => {
  const away = { url: "http://127.0.0.1:1/?authToken=a-secret", authToken };
  const said = /^the database at 127\.0\.0\.1:1 cannot be reached$/;
  await expect(listClusterKeys(away)).rejects.toThrow(said);
  await expect(migrate(away)).rejects.toThrow(said);
});

describe("migrations", () => {
  it("run again without harm", async () => {
    const publicKey = await createKey();
    const keyId = await enrolClusterKey(address, { name: "kept", publicKey });
    await migrate(address);
    expect(await findClusterKey(address, keyId)).toEqual(publicKey);
  });
});

describe("cluster keys", () => {
  it("are found under their thumbprint once enrolled, and enrolled once", async () => {
    const publicKey = await createKey();
    const keyId = await clusterKeyId(publicKey);
    expect(await findClusterKey(address, keyId)).toBeUndefined();
    expect(await enrolClusterKey(address, { name: "one", publicKey })).toBe(keyId);
    expect(await enrolClusterKey(address, { name: "two", publicKey })).toBe(keyId);
    expect(await findClusterKey(address, keyId)).toEqual(publicKey);
    const entries = (await listClusterKeys(address)).filter((entry) => entry.keyId === keyId);
    expect(entries).toMatchObject([{ name: "two", revokedAtMs: undefined }]);
  });

  it("that are revoked are not found, and stay revoked", async () => {
    const publicKey = await createKey();
    const keyId = await enrolClusterKey(address, { name: "leaked", publicKey });
    expect(await revokeClusterKey(address, keyId)).toBe(true);
    expect(await revokeClusterKey(address, keyId)).toBe(false);
    expect(await findClusterKey(address, keyId)).toBeUndefined();
    await expect(enrolClusterKey(address, { name: "again", publicKey })).rejects.toThrow(RangeError);
    expect(await findClusterKey(address, keyId)).toBeUndefined();
    const entry = (await listClusterKeys(address)).find((one) => one.keyId === keyId);
    expect(entry?.revokedAtMs).toBeTypeOf("number");
  });

  it("that nobody knows cannot be revoked", async () => {
    expect(await revokeClusterKey(address, "nobody")).toBe(false);
  });
});

describe("a database that is away", () => {
  it("is a DatabaseError without the token in it", async () => {
    const away = { url: "http://127.0.0.1:9", authToken };
    const failure = await findClusterKey(away, "k").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DatabaseError);
    expect(String(failure)).not.toContain(authToken);
    await expect(findClusterKey({ ...address, authToken: "wrong" }, "k")).rejects.toThrow(DatabaseError);
  });
});
