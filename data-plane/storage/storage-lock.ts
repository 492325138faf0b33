import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type FileHandle, lstat, open, readdir, rename, rm } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { z } from "zod";
import { isThere, StorageError } from "./storage-file.ts";

export interface StorageLock {
  /** Whether it is still to be seen for others: who takes the folder away takes it away, and nobody is told. */
  isSeen(): Promise<boolean>;
  release(): Promise<void>;
}

/** Who has a lock, as it says itself: in a container a process number alone says little. */
const holderSchema = z.object({ pid: z.int(), host: z.string().max(255) });

/** Longest address of a socket that every system takes. */
const maxAddressBytes = 100;
const maxAnswerBytes = 512;
/** A holder that is busy for this long holds all the same; only who it is remains unsaid. */
const answerTimeoutMs = 1_000;
/** From its name to its answer a socket takes less than this. */
const draftMaxAgeMs = 60_000;

/**
 * Takes a file for this process until `release` or the end of the process, however it ends. The lock is a socket beside the file on which
 * this process listens: the system ends that with the process, so whoever finds a socket that nobody answers takes it away. It is seen
 * wherever the folder is, also from another container of this machine, whose process numbers mean nothing here.
 *
 * Each process first shows a socket of its own, under a name that nobody else ever has, and looks for others after that: of two that
 * come at one moment at least one sees the other. Then both may refuse, but never do both hold it.
 *
 * @throws StorageError when another process has it; another Error when the folder takes no sockets
 */
export async function lockStorage(file: string): Promise<StorageLock> {
  const folder = await SocketFolder.open(dirname(file));
  const name = `${basename(file)}.${randomBytes(6).toString("hex")}.lock`;
  const draft = `${name}-new`;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.setTimeout(answerTimeoutMs, () => socket.destroy());
    socket.end(JSON.stringify({ pid: process.pid, host: hostname() }));
  });
  server.on("error", () => undefined);
  server.unref();
  server.maxConnections = 16;
  const release = async (): Promise<void> => {
    await Promise.all([draft, name].map((one) => rm(join(dirname(file), one), { force: true }).catch(() => undefined)));
    if (server.listening) server.close();
    await folder.close();
  };
  try {
    // Shown only when it answers: otherwise it would be taken for one that was left behind.
    await listening(server, folder.addressOf(draft));
    await rename(join(dirname(file), draft), join(dirname(file), name));
    await refuseOthers(folder, file, name);
  } catch (error) {
    await release();
    throw error;
  }
  return { release, isSeen: () => isThere(join(dirname(file), name)) };
}

/** @throws StorageError when somebody else shows a socket and answers, or may not be asked. Takes away those that nobody answers. */
async function refuseOthers(folder: SocketFolder, file: string, own: string): Promise<void> {
  const prefix = `${basename(file)}.`;
  for (const name of await readdir(dirname(file))) {
    const isLock = name.startsWith(prefix) && /^[0-9a-f]{12}\.lock(?:-new)?$/.test(name.slice(prefix.length));
    if (!isLock || name === own) continue;
    const holder = await ask(folder.addressOf(name));
    if (holder === undefined) {
      // One that is being shown just now does not answer yet.
      if (!name.endsWith("-new") || (await isOld(join(dirname(file), name)))) {
        await rm(join(dirname(file), name), { force: true });
      }
      continue;
    }
    // It looks for others when it shows its own, and finds this one.
    if (name.endsWith("-new")) continue;
    const elsewhere = `give this cluster another [cluster] instance, or another state_dir than ${dirname(file)}`;
    if (holder === notAllowed) {
      const path = join(dirname(file), name);
      throw new StorageError(
        `${file}, which plugins keep their data in, may be in use: ${path} belongs to ${await ownerOf(path)}, so it cannot be ` +
          `asked whether its process still runs. Start this cluster as that user; or, when no cluster of theirs runs, remove that file; or ${elsewhere}`,
      );
    }
    throw new StorageError(
      `${file}, which plugins keep their data in, is in use by ${holder}: stop that first, or ${elsewhere}`,
    );
  }
}

/** Whether whoever made it would have come further by now. */
async function isOld(path: string): Promise<boolean> {
  const { mtimeMs } = await lstat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
  return Date.now() - mtimeMs > draftMaxAgeMs;
}

async function ownerOf(path: string): Promise<string> {
  const uid = await lstat(path).then(
    (stats) => stats.uid,
    () => undefined,
  );
  return uid === undefined || uid === process.geteuid?.() ? "another user" : `the user with id ${uid}`;
}

/** The system does not let this user ask: who listens there, or does no more, is another user's. */
const notAllowed = Symbol("not allowed");

/** Who listens there; `undefined` when nobody does. */
async function ask(address: string): Promise<string | undefined | typeof notAllowed> {
  const socket = createConnection(address);
  socket.on("error", () => undefined);
  const timer = setTimeout(() => socket.destroy(new Error("it does not answer")), answerTimeoutMs);
  let answer = "";
  try {
    await once(socket, "connect");
    for await (const chunk of socket) {
      answer += String(chunk);
      if (answer.length > maxAnswerBytes) break;
    }
  } catch (error) {
    if (isCode(error, "ECONNREFUSED") || isCode(error, "ENOENT")) return undefined;
    if (isCode(error, "EACCES") || isCode(error, "EPERM")) return notAllowed;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  const { data } = holderSchema.safeParse(parseJson(answer));
  return data === undefined ? "another process" : `process ${data.pid} on ${data.host}`;
}

/** A folder with sockets. Their addresses are short, however long the way to the folder is, where the system has a way to say that. */
class SocketFolder {
  readonly #path: string;
  readonly #handle: FileHandle | undefined;

  private constructor(path: string, handle: FileHandle | undefined) {
    this.#path = path;
    this.#handle = handle;
  }

  static async open(path: string): Promise<SocketFolder> {
    return new SocketFolder(path, process.platform === "linux" ? await open(path) : undefined);
  }

  /** @throws Error where it is too long */
  addressOf(name: string): string {
    const path = join(this.#path, name);
    const ways = [path, relative(process.cwd(), path)];
    if (this.#handle !== undefined) ways.push(`/proc/self/fd/${this.#handle.fd}/${name}`);
    const address = ways.find((way) => Buffer.byteLength(way) <= maxAddressBytes);
    if (address === undefined) throw new Error(`${path} is longer than the address of a socket may be`);
    return address;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }
}

async function listening(server: Server, address: string): Promise<void> {
  server.listen(address);
  await once(server, "listening");
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
