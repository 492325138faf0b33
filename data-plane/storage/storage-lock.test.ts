import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ServerPlugin } from "../plugin/server-plugin.ts";
import { FakeMaster } from "../testing/fake-master.ts";
import { LogBook, startTestCluster, type TestCluster, type TestClusterOptions } from "../testing/test-cluster.ts";
import { ClusterStorage } from "./cluster-storage.ts";
import { StorageError } from "./storage-file.ts";
import { lockStorage } from "./storage-lock.ts";

let folder: string;
let file: string;
let log: LogBook;
const children: ChildProcess[] = [];
const masters: FakeMaster[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sustenet-"));
  file = join(folder, "key.main.storage");
  log = new LogBook();
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(killed));
  await Promise.all(masters.splice(0).map((master) => master.stop()));
  await rm(folder, { recursive: true, force: true });
});

const value = Uint8Array.of(7);
const holder = `process ${process.pid} on ${hostname()}`;
const locks = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.includes(".lock"));

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

/** Another process, which keeps a value in the file and then says so; `blocked` it does nothing at all after that. */
async function startOther(how: "waiting" | "blocked" = "waiting"): Promise<ChildProcess> {
  const script = `import { ClusterStorage } from ${JSON.stringify(join(import.meta.dirname, "cluster-storage.ts"))};
const log = { debug() {}, info() {}, warn() {}, error() {} };
const storage = await ClusterStorage.open(${JSON.stringify(file)}, log);
await storage.of("a").set("k", Uint8Array.of(9));
process.stdout.write("kept", () => { ${how === "blocked" ? "while (true);" : "setInterval(() => {}, 1_000);"} });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

describe("the lock of a storage", () => {
  it("is one's at a time, and says in which folder it is and who has it", async () => {
    const lock = await lockStorage(file);
    const message =
      `${file}, which plugins keep their data in, is in use by ${holder}: ` +
      `stop that first, or give this cluster another [cluster] instance, or another state_dir than ${folder}`;
    await expect(lockStorage(file)).rejects.toThrow(new StorageError(message));
    // Instances side by side have a file each.
    await (await lockStorage(join(folder, "key.main-2.storage"))).release();
    await (await lockStorage(join(folder, "main.storage"))).release();
    await lock.release();
    await (await lockStorage(file)).release();
    expect(await locks()).toEqual([]);
  });

  it("is at most one's when many want it at one moment", async () => {
    for (let round = 0; round < 10; round += 1) {
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockStorage(file)));
      const held = tries.filter((one) => one.status === "fulfilled");
      expect(held.length).toBeLessThanOrEqual(1);
      for (const { value: lock } of held) await lock.release();
      expect(await locks()).toEqual([]);
    }
  });

  it("holds for a folder whose path is longer than the address of a socket", async () => {
    const deep = join(folder, "a".repeat(100), "b".repeat(100));
    await mkdir(deep, { recursive: true });
    const lock = await lockStorage(join(deep, "main.storage"));
    await expect(lockStorage(join(deep, "main.storage"))).rejects.toThrow(holder);
    await lock.release();
  });

  it("is not taken for free because its holder says nothing, or something else", async () => {
    const server = createServer((socket) => socket.end("hello"));
    await new Promise<void>((resolve) => {
      server.listen(`${file}.0123456789ab.lock`, resolve);
    });
    await expect(lockStorage(file)).rejects.toThrow("is in use by another process: stop that first");
    await new Promise((resolve) => server.close(resolve));
  });
});

/** Tries to take the lock as a user who may do less than the superuser, and tells what came of it. */
async function lockAsOrdinaryUser(): Promise<string> {
  const script = `import { lockStorage } from ${JSON.stringify(join(import.meta.dirname, "storage-lock.ts"))};
// What is loaded later than this has to be readable for everybody.
if (process.geteuid() === 0) process.seteuid(65534);
const outcome = await lockStorage(${JSON.stringify(file)}).then(() => "taken", (error) => error.name + " " + error.message);
process.stdout.write(outcome);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return text(child.stdout);
}

it("is not taken from another user, whose process cannot be asked, and says what to do", async () => {
  await chmod(folder, 0o777);
  const left = `${file}.0123456789ab.lock`;
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(left, resolve);
  });
  await chmod(left, 0o000);
  const refusal = await lockAsOrdinaryUser();
  await new Promise((resolve) => server.close(resolve));
  expect(refusal).toContain(
    `StorageError ${file}, which plugins keep their data in, may be in use: ${left} belongs to `,
  );
  expect(refusal).toContain(
    `Start this cluster as that user; or, when no cluster of theirs runs, remove that file; or `,
  );
  expect(refusal).not.toContain("is in use by");
  expect(await locks()).toEqual([]);
  expect(await lockAsOrdinaryUser()).toBe("taken");
});

describe("two processes with one storage", () => {
  it("are told apart: the second one does not start, and the first one's end frees the file, however it ends", async () => {
    const other = await startOther();
    const opening = ClusterStorage.open(file, log);
    await expect(opening).rejects.toThrow(`is in use by process ${other.pid} on ${hostname()}`);
    await killed(other);
    expect(await locks()).toHaveLength(1);
    const storage = await ClusterStorage.open(file, log);
    expect(storage.of("a").get("k")).toEqual(Uint8Array.of(9));
    await storage.close();
    expect(await readdir(folder)).toEqual(["key.main.storage"]);
  });

  it("are told apart also while the first one does not come to answer", async () => {
    await startOther("blocked");
    await expect(ClusterStorage.open(file, log)).rejects.toThrow("is in use by another process");
  });

  it("are told apart also when both began with nothing: what the first one kept stays", async () => {
    const storage = await ClusterStorage.open(file, log);
    const other = await startOther();
    expect(await storage.of("a").set("k", value)).toBe(false);
    expect(log.lines.at(-1)).toMatchObject({ level: "error", fields: { event: "storage-failed" } });
    expect(log.lines.at(-1)?.message).toContain(`is in use by process ${other.pid} on ${hostname()}`);
    await killed(other);
    // It has never read what is there now.
    expect(await storage.of("a").set("k", value)).toBe(false);
    expect(log.lines.at(-1)?.message).toContain("another cluster has written it meanwhile: start this one again");
    await storage.close();
    const next = await ClusterStorage.open(file, log);
    expect(next.of("a").get("k")).toEqual(Uint8Array.of(9));
    await next.close();
  });
});

describe("a lock that is taken away under its holder", () => {
  const events = (): unknown[] => log.lines.map(({ fields }) => fields["event"]);

  it("is taken anew with the next change, with the file or without it", async () => {
    const storage = await ClusterStorage.open(file, log);
    expect(await storage.of("a").set("k", value)).toBe(true);
    for (const name of await locks()) await rm(join(folder, name));
    expect(await storage.of("a").set("l", value)).toBe(true);
    await expect(lockStorage(file)).rejects.toThrow(holder);
    await rm(folder, { recursive: true });
    expect(await storage.of("a").set("m", value)).toBe(true);
    await expect(lockStorage(file)).rejects.toThrow(holder);
    expect(events()).toEqual(["storage-lock-lost", "storage-lock-lost"]);
    await storage.close();
    const next = await ClusterStorage.open(file, log);
    expect(next.of("a").keys()).toEqual(["k", "l", "m"]);
    await next.close();
    expect(await locks()).toEqual([]);
  });

  it("is taken anew also where that happens at the very moment: nobody writes without one from then on", async () => {
    const storage = await ClusterStorage.open(file, log);
    for (let round = 0; round < 100; round += 1) {
      const kept = storage.of("a").set("k", value);
      for (let wait = round % 10; wait > 0; wait -= 1) await stat(tmpdir());
      // What is made meanwhile may keep the folder.
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
      await mkdir(folder, { recursive: true });
      await kept;
    }
    expect(events()).not.toContain("storage-not-locked");
    expect(await storage.of("a").set("k", value)).toBe(true);
    await expect(lockStorage(file)).rejects.toThrow(holder);
    await storage.close();
  });

  it("is not, once another has come in between: what that one keeps stays", async () => {
    const storage = await ClusterStorage.open(file, log);
    expect(await storage.of("a").set("k", value)).toBe(true);
    await rm(folder, { recursive: true });
    await mkdir(folder);
    const other = await startOther();
    expect(await storage.of("a").set("k", value)).toBe(false);
    expect(log.lines.at(-1)?.message).toContain(`is in use by process ${other.pid} on ${hostname()}`);
    await killed(other);
    expect(await storage.of("a").set("k", value)).toBe(false);
    expect(log.lines.at(-1)?.message).toContain("another cluster has written it meanwhile: start this one again");
    expect(events()).toEqual(["storage-lock-lost", "storage-failed", "storage-failed"]);
    await storage.close();
    const next = await ClusterStorage.open(file, log);
    expect(next.of("a").get("k")).toEqual(Uint8Array.of(9));
    await next.close();
  });
});

/** A cluster whose master ends with the test, also when it could not start. */
async function start(options: Pick<TestClusterOptions, "settings" | "plugin">): Promise<TestCluster> {
  const master = await new FakeMaster().start();
  masters.push(master);
  return startTestCluster({ ...options, master });
}

it("is let go by a cluster that stops, and by one that could not start", async () => {
  const keeps: ServerPlugin = {
    name: "keeps",
    onStart: async ({ storage }) => void (await storage.set("k", value)),
  };
  const fails: ServerPlugin = {
    name: "fails",
    onStart: () => {
      throw new Error("not today");
    },
  };
  const settings = { stateDir: folder };
  const first = await start({ settings, plugin: keeps });
  await expect(start({ settings, plugin: keeps })).rejects.toThrow(`is in use by ${holder}`);
  await (await start({ settings: { ...settings, instance: "other" }, plugin: keeps })).stop();
  await first.stop();
  await expect(start({ settings, plugin: fails })).rejects.toThrow("not today");
  await (await start({ settings, plugin: keeps })).stop();
});

it("is not taken by a cluster whose plugins keep nothing", async () => {
  const settings = { stateDir: join(folder, "state") };
  const both = [await start({ settings }), await start({ settings })];
  for (const cluster of both) await cluster.stop();
  expect(await readdir(folder)).toEqual([]);
});
