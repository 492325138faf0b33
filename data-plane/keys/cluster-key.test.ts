import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  clusterKeyId,
  parseClusterPublicKey,
  signClusterAssertion,
  verifyClusterAssertion,
} from "../../auth/cluster-assertion.ts";
import { createClusterKey, loadClusterKey } from "./cluster-key.ts";
import { folderUnusable } from "./key-folder.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sustenet-"));
});
afterEach(() => rm(dir, { recursive: true }));

describe("createClusterKey", () => {
  it("writes a private key for its owner only, and a public key that parses", async () => {
    const keys = join(dir, "keys");
    const created = await createClusterKey(keys, "cluster_key");
    expect((await stat(created.privateKeyFile)).mode & 0o777).toBe(0o600);
    const published: unknown = JSON.parse(await readFile(created.publicKeyFile, "utf8"));
    expect(parseClusterPublicKey(published)).toEqual(created.publicKey);
    expect(published).toMatchObject({ kid: created.keyId });
    expect(published).not.toHaveProperty("d");
    expect(await clusterKeyId(created.publicKey)).toBe(created.keyId);
  });

  it("makes a key whose assertions verify once it is loaded", async () => {
    const { publicKey } = await createClusterKey(dir, "k");
    const { privateKey, keyId, exposed } = await loadClusterKey(dir, "k");
    expect(exposed).toBe(false);
    const expected = { masterUrl: "https://master.example.com", now: 1_000 };
    const assertion = await signClusterAssertion({ key: privateKey, keyId, instance: "main", ...expected });
    expect(await verifyClusterAssertion(assertion, publicKey, expected)).toMatchObject({ keyId, instance: "main" });
  });

  it("never overwrites, neither half", async () => {
    const { privateKeyFile, publicKeyFile } = await createClusterKey(dir, "k");
    const before = await readFile(privateKeyFile, "utf8");
    await expect(createClusterKey(dir, "k")).rejects.toMatchObject({ code: "KEY_EXISTS" });
    await rm(privateKeyFile);
    await expect(createClusterKey(dir, "k")).rejects.toMatchObject({ code: "KEY_EXISTS" });
    await expect(stat(privateKeyFile)).rejects.toMatchObject({ code: "ENOENT" });
    await rm(publicKeyFile);
    await createClusterKey(dir, "k");
    expect(await readFile(privateKeyFile, "utf8")).not.toBe(before);
  });

  it.each([
    ["/proc/foo", /^The folder \/proc\/foo cannot be made: /],
    ["/etc/passwd/foo", /^The folder \/etc\/passwd\/foo cannot be made: \/etc\/passwd is a file\.$/],
  ])("says at once why there can be no key in %s", async (folder, message) => {
    await expect(createClusterKey(folder, "k")).rejects.toMatchObject({
      code: "FOLDER_UNUSABLE",
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["EROFS", "it is read-only."],
    ["EACCES", "this user may not write there."],
    ["EPERM", "this user may not write there."],
    ["ENOSPC", "there is no room."],
    ["EIO", "the system says EIO."],
  ])("says in plain words what %s means", (code, words) => {
    expect(folderUnusable("k", Object.assign(new Error("no"), { code })).message).toBe(
      `The folder k cannot be written to: ${words}`,
    );
  });

  it.each(["", "../k", "a/b", ".hidden", "k".repeat(65)])("refuses the name %j", async (name) => {
    await expect(createClusterKey(dir, name)).rejects.toMatchObject({ code: "BAD_KEY_NAME" });
  });
});

describe("loadClusterKey", () => {
  it("says where a missing key should be, and how to make one", async () => {
    await expect(loadClusterKey(dir, "k")).rejects.toMatchObject({
      code: "KEY_MISSING",
      message: expect.stringContaining(`"npx sustenet keygen --dir ${dir} --name k"`),
    });
    await expect(loadClusterKey("examples/nowhere/keys", "cluster_key")).rejects.toMatchObject({
      message: expect.stringContaining('"npx sustenet keygen --dir examples/nowhere/keys"'),
    });
    await expect(loadClusterKey("keys", "cluster_key")).rejects.toMatchObject({
      message: expect.stringContaining('"npx sustenet keygen"'),
    });
  });

  it("refuses what is no Ed25519 key, and repeats nothing of it", async () => {
    await writeFile(join(dir, "k.pem"), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    const loading = loadClusterKey(dir, "k");
    await expect(loading).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
    await expect(loading).rejects.not.toThrow("c2VjcmV0");
  });

  it("notices that others can read it", async () => {
    const { privateKeyFile } = await createClusterKey(dir, "k");
    await writeFile(join(dir, "open.pem"), await readFile(privateKeyFile), { mode: 0o644 });
    expect((await loadClusterKey(dir, "open")).exposed).toBe(true);
  });
});
