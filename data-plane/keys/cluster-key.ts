import { createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { type CryptoKey, exportJWK, exportPKCS8, generateKeyPair, importPKCS8 } from "jose";
import { clusterKeyId, type ClusterPublicKey, parseClusterPublicKey } from "../../auth/cluster-assertion.ts";
import { KeyError } from "./key-error.ts";
import { folderUnusable, makeFolder } from "./key-folder.ts";

/** A cluster's identity, ready to sign. */
export interface ClusterKey {
  /** RFC 7638 thumbprint of the public key: the name under which the master knows it. */
  readonly keyId: string;
  readonly publicKey: ClusterPublicKey;
  readonly privateKey: CryptoKey;
  /** True when others on this machine can read the file. */
  readonly exposed: boolean;
}

/** A key pair that has just been written. */
export interface CreatedClusterKey {
  readonly keyId: string;
  readonly publicKey: ClusterPublicKey;
  /** PKCS#8, PEM, readable by its owner only. */
  readonly privateKeyFile: string;
  /** JWK as JSON, to be enrolled at the master. */
  readonly publicKeyFile: string;
}

/**
 * Makes an Ed25519 key pair: `<name>.pem` and `<name>.pub` in `dir`, which is made if need be.
 *
 * @throws KeyError `KEY_EXISTS` when there is one: a key is never overwritten; `FOLDER_UNUSABLE` where it cannot be written
 */
export async function createClusterKey(dir: string, name: string): Promise<CreatedClusterKey> {
  if (!/^\w[\w.-]{0,63}$/.test(name)) {
    throw new KeyError("BAD_KEY_NAME", 'A key\'s name has 1 to 64 letters, digits, "_", "." and "-".');
  }
  const privateKeyFile = join(dir, `${name}.pem`);
  const publicKeyFile = join(dir, `${name}.pub`);
  for (const file of [privateKeyFile, publicKeyFile]) assertAbsent(file);
  const pair = await generateKeyPair("Ed25519", { extractable: true });
  const publicKey = parseClusterPublicKey(await exportJWK(pair.publicKey));
  if (publicKey === undefined) throw new Error("the generated key is not an Ed25519 key");
  const keyId = await clusterKeyId(publicKey);
  makeFolder(dir);
  // The private key first: whoever wins its name owns the pair, even against one who looked at the same moment.
  await writeNew(privateKeyFile, await exportPKCS8(pair.privateKey), 0o600);
  await writeNew(publicKeyFile, `${JSON.stringify({ ...publicKey, alg: "Ed25519", use: "sig", kid: keyId })}\n`, 0o644);
  return { keyId, publicKey, privateKeyFile, publicKeyFile };
}

/**
 * Loads the key pair `name` of `dir`.
 *
 * @throws KeyError `KEY_MISSING` or `KEY_UNREADABLE`, with what to do
 */
export async function loadClusterKey(dir: string, name: string): Promise<ClusterKey> {
  const file = join(dir, `${name}.pem`);
  const pem = await read(file, dir, name);
  try {
    const publicKey = parseClusterPublicKey(createPublicKey(createPrivateKey(pem)).export({ format: "jwk" }));
    if (publicKey === undefined) throw new Error("not an Ed25519 key");
    const privateKey = await importPKCS8(pem, "Ed25519");
    const { mode } = await stat(file);
    return { keyId: await clusterKeyId(publicKey), publicKey, privateKey, exposed: (mode & 0o077) !== 0 };
  } catch (cause) {
    throw new KeyError("KEY_UNREADABLE", `${shown(file)} is not an Ed25519 private key in PKCS#8 PEM form.`, { cause });
  }
}

async function read(file: string, dir: string, name: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") {
      throw new KeyError(
        "KEY_MISSING",
        `There is no cluster key at ${shown(file)}: make one with "npx sustenet keygen${keygenFlags(dir, name)}", and enrol it at the master.`,
        { cause },
      );
    }
    throw new KeyError("KEY_UNREADABLE", `${shown(file)} cannot be read (${errorCode(cause)}).`, { cause });
  }
}

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(file, text, { flag: "wx", mode });
  } catch (cause) {
    throw errorCode(cause) === "EEXIST" ? keyExists(file) : folderUnusable(dirname(file), cause);
  }
}

function assertAbsent(file: string): void {
  if (existsSync(file)) throw keyExists(file);
}

function keyExists(file: string): KeyError {
  return new KeyError("KEY_EXISTS", `${shown(file)} exists already, and is not overwritten.`);
}

/** What `keygen` has to be told to make the key there. */
function keygenFlags(dir: string, name: string): string {
  const folder = shown(dir);
  const flags = [
    ...(folder === "keys" ? [] : [` --dir ${/^[\w./-]+$/.test(folder) ? folder : JSON.stringify(folder)}`]),
    ...(name === "cluster_key" ? [] : [` --name ${name}`]),
  ];
  return flags.join("");
}

function shown(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") ? file : path;
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
