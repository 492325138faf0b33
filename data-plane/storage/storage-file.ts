import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

/** Values by plugin, then by key. */
export type StoredValues = Map<string, Map<string, Uint8Array>>;

export class StorageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StorageError";
  }
}

/** Far more than what fits into a storage. */
const maxFileBytes = 16 * 1_024 * 1_024;
const firstLine = /^sustenet-storage (\d{1,9}) ([0-9a-f]{64})$/;
const version = 1;
const contentSchema = z.record(z.string(), z.record(z.string(), z.base64()));

/** Whether there is a file, as far as can be seen; one that cannot be looked at counts as there. */
export async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ENOENT");
  }
}

/** Tells a file from another one in its place, and from itself as it was before a change; `undefined` when there is none. */
export async function markOf(file: string): Promise<string | undefined> {
  if (!(await isThere(file))) return undefined;
  const { dev, ino, mtimeNs } = await stat(file, { bigint: true });
  return [dev, ino, mtimeNs].join(" ");
}

/** @throws StorageError when the file is there and cannot be used */
export async function readStorageFile(file: string): Promise<StoredValues> {
  const text = await readBounded(file);
  if (text === undefined) return new Map();
  const end = text.indexOf("\n");
  const [, given = "", sum] = firstLine.exec(text.slice(0, Math.max(end, 0))) ?? [];
  const content = text.slice(end + 1);
  if (given !== "" && Number(given) !== version) {
    throw new StorageError(`${file} is of version ${given}, and this cluster reads version ${version}: update it`);
  }
  if (sum !== checksum(content)) throw damaged(file);
  const { data } = contentSchema.safeParse(parseJson(content));
  if (data === undefined) throw damaged(file);
  return new Map(
    Object.entries(data).map(([plugin, values]) => [
      plugin,
      new Map(Object.entries(values).map(([key, value]) => [key, new Uint8Array(Buffer.from(value, "base64"))])),
    ]),
  );
}

/**
 * Puts the file in place of the one before in one step, and resolves when it would survive the machine's end: whoever reads it
 * sees either the old one or the new one. Each write has a draft of its own: where no lock keeps two processes apart they do not tear it.
 */
export async function writeStorageFile(file: string, values: StoredValues): Promise<void> {
  const entries = Array.from(values, ([plugin, ofPlugin]) => [
    plugin,
    Object.fromEntries(Array.from(ofPlugin, ([key, value]) => [key, Buffer.from(value).toString("base64")])),
  ]);
  const content = JSON.stringify(Object.fromEntries(entries));
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  const draft = `${file}.${randomBytes(6).toString("hex")}.new`;
  try {
    await writeThrough(draft, `sustenet-storage ${version} ${checksum(content)}\n${content}`);
    await rename(draft, file);
  } catch (error) {
    // On a disk that is full it would take what room there is.
    await rm(draft, { force: true });
    throw error;
  }
  const opened = await open(folder, constants.O_RDONLY);
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** Takes away what crashes have left half written. Whoever writes just now writes again with the next change. */
export async function removeDrafts(file: string): Promise<void> {
  const folder = dirname(file);
  const prefix = `${basename(file)}.`;
  const names = await readdir(folder).catch((): string[] => []);
  const drafts = names.filter(
    (name) => name.startsWith(prefix) && /^(?:[0-9a-f]{12}\.)?new$/.test(name.slice(prefix.length)),
  );
  await Promise.all(drafts.map((name) => rm(join(folder, name), { force: true }).catch(() => undefined)));
}

async function readBounded(file: string): Promise<string | undefined> {
  let opened;
  try {
    opened = await open(file, constants.O_RDONLY);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new StorageError(`${file} cannot be read: ${reasonOf(cause)}`, { cause });
  }
  try {
    const { size } = await opened.stat();
    if (size > maxFileBytes) throw damaged(file);
    return await opened.readFile("utf8");
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw new StorageError(`${file} cannot be read: ${reasonOf(cause)}`, { cause });
  } finally {
    await opened.close();
  }
}

async function writeThrough(file: string, text: string): Promise<void> {
  const opened = await open(file, "wx", 0o600);
  try {
    await opened.writeFile(text);
    await opened.sync();
  } finally {
    await opened.close();
  }
}

function checksum(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function damaged(file: string): StorageError {
  return new StorageError(
    `${file}, which plugins keep their data in, is damaged: put a copy in its place, or move it away to begin with nothing`,
  );
}

export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : "it failed";
}
