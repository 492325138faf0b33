import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ServerPlugin } from "../plugin/server-plugin.ts";
import { LogBook, startTestCluster } from "../testing/test-cluster.ts";
import { ClusterStorage, storageLimits, type StorageLimits } from "./cluster-storage.ts";
import { readStorageFile, StorageError, writeStorageFile } from "./storage-file.ts";

let folder: string;
let file: string;
let log: LogBook;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sustenet-"));
  file = join(folder, "state", "main.storage");
  log = new LogBook();
});
afterEach(async () => {
  await closeAll();
  await rm(folder, { recursive: true, force: true });
});

const opened: ClusterStorage[] = [];

async function open(limits: Partial<StorageLimits> = {}): Promise<ClusterStorage> {
  const storage = await ClusterStorage.open(file, log, { ...storageLimits, ...limits });
  opened.push(storage);
  return storage;
}

async function closeAll(): Promise<void> {
  for (const storage of opened.splice(0)) await storage.close();
}

/** As the next process finds it. */
async function openNext(): Promise<ClusterStorage> {
  await closeAll();
  return open();
}

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

describe("what a plugin keeps", () => {
  it("is there at once, and again after a restart; each plugin has its own", async () => {
    const first = await open();
    const [a, b] = [first.of("a"), first.of("b")];
    const kept = a.set("round", bytes("7"));
    expect(a.get("round")).toEqual(bytes("7"));
    expect(await kept).toBe(true);
    expect(await b.set("round", bytes("other"))).toBe(true);
    expect(await a.set("gone", bytes("x"))).toBe(true);
    expect(await a.delete("gone")).toBe(true);
    const second = await openNext();
    expect([second.of("a").get("round"), second.of("b").get("round")]).toEqual([bytes("7"), bytes("other")]);
    expect([second.of("a").keys(), second.of("c").get("round")]).toEqual([["round"], undefined]);
  });

  it("is copied on its way in and out", async () => {
    const part = (await open()).of("a");
    const given = Buffer.from("abc");
    const kept = part.set("k", given);
    given.fill(0);
    part.get("k")?.fill(0);
    expect(part.get("k")).toEqual(bytes("abc"));
    expect(await kept).toBe(true);
    expect((await openNext()).of("a").get("k")).toEqual(bytes("abc"));
  });

  it("is written together, and what comes meanwhile next", async () => {
    const storage = await open();
    const part = storage.of("a");
    const all = Array.from({ length: 100 }, (_, at) => part.set(`k${at}`, bytes(`${at}`)));
    expect(await Promise.all(all)).toEqual(all.map(() => true));
    void part.set("late", bytes("1"));
    await storage.settled();
    expect((await openNext()).of("a").keys()).toHaveLength(101);
    await closeAll();
    expect(await readdir(join(folder, "state"))).toEqual(["main.storage"]);
  });

  it("makes no file before there is something to keep", async () => {
    const part = (await open()).of("a");
    expect([part.get("x"), part.keys()]).toEqual([undefined, []]);
    expect(await readdir(folder)).toEqual([]);
  });

  it("stays in memory where the disk does not take it, and comes with the next change", async () => {
    const storage = (await open()).of("a");
    await writeFile(join(folder, "state"), "in the way");
    for (let change = 0; change < 5; change += 1) expect(await storage.set("k", bytes("1"))).toBe(false);
    expect(storage.get("k")).toEqual(bytes("1"));
    await rm(join(folder, "state"));
    expect(await storage.set("l", bytes("2"))).toBe(true);
    expect((await openNext()).of("a").keys()).toEqual(["k", "l"]);
    expect(log.lines.map(({ fields }) => fields["event"])).toEqual(["storage-failed", "storage-written"]);
  });

  it("is bounded: keys, values, and all together; what is refused changes nothing", async () => {
    const storage = await open({ maxKeys: 3, maxKeyLength: 4, maxValueBytes: 10, maxBytes: 24 });
    const part = storage.of("a");
    expect(() => part.set("", bytes("1"))).toThrow(RangeError);
    expect(() => part.set("abcde", bytes("1"))).toThrow(RangeError);
    expect(() => part.set("a", new Uint8Array(11))).toThrow(RangeError);
    expect(await part.set("abcd", new Uint8Array(10))).toBe(true);
    expect(await part.set("b", new Uint8Array(7))).toBe(true);
    expect(await storage.of("b").set("c", new Uint8Array(1))).toBe(true);
    expect(() => part.set("d", new Uint8Array(0))).toThrow("at most 3 keys");
    expect(() => part.set("b", new Uint8Array(8))).toThrow("at most 24 bytes");
    expect(await part.delete("b")).toBe(true);
    expect(await part.set("d", new Uint8Array(7))).toBe(true);
    expect([part.keys(), part.get("b")]).toEqual([["abcd", "d"], undefined]);
  });
});

it("is given to each plugin of a cluster, by name, and comes back with the same instance", async () => {
  const seen: (number | undefined)[] = [];
  const plugin = (name: string): ServerPlugin => ({
    name,
    onStart: async ({ storage }) => {
      const starts = storage.get("starts")?.[0] ?? 0;
      seen.push(starts);
      await storage.set("starts", Uint8Array.of(starts + 1));
    },
  });
  const settings = { stateDir: folder };
  await (await startTestCluster({ settings, plugin: [plugin("a"), plugin("b")] })).stop();
  await (await startTestCluster({ settings, plugin: plugin("b") })).stop();
  await (await startTestCluster({ settings: { ...settings, instance: "other" }, plugin: plugin("b") })).stop();
  expect(seen).toEqual([0, 0, 1, 0]);
});

describe("its file", () => {
  async function written(): Promise<string> {
    expect(await (await open()).of("a").set("k", bytes("value"))).toBe(true);
    await closeAll();
    return readFile(file, "utf8");
  }

  it("is whole or not there, whatever a crash leaves beside it", async () => {
    await written();
    await writeFile(`${file}.new`, "sustenet-storage 1 half of i");
    await writeFile(`${file}.0123456789ab.new`, "sustenet-storage 1 half of i");
    expect((await open()).of("a").get("k")).toEqual(bytes("value"));
    await closeAll();
    expect(await readdir(join(folder, "state"))).toEqual(["main.storage"]);
  });

  it("is whole while two processes write it that no lock keeps apart: the later one wins", async () => {
    const valuesOf = (value: Uint8Array) => new Map([["a", new Map([["k", value]])]]);
    const [one, two] = [valuesOf(new Uint8Array(60_000)), valuesOf(bytes("two"))];
    for (let round = 0; round < 20; round += 1) {
      await Promise.all([writeStorageFile(file, one), writeStorageFile(file, two)]);
      expect([60_000, 3]).toContain((await readStorageFile(file)).get("a")?.get("k")?.length);
    }
  });

  it("leaves nothing half written where the disk does not take it", async () => {
    const part = (await open()).of("a");
    expect(await part.set("j", bytes("1"))).toBe(true);
    await rm(file);
    await mkdir(file);
    for (let change = 0; change < 3; change += 1) expect(await part.set("k", bytes("1"))).toBe(false);
    expect(log.lines.map(({ fields }) => fields["event"])).toEqual(["storage-failed"]);
    await closeAll();
    expect(await readdir(join(folder, "state"))).toEqual(["main.storage"]);
  });

  it.each<[string, (text: string) => string]>([
    ["cut off", (text) => text.slice(0, -3)],
    ["changed", (text) => text.replace("dmFs", "dmFt")],
    ["empty", () => ""],
    ["something else", () => "hello\n{}"],
    ["with more behind", (text) => `${text}\n`],
  ])("that is %s keeps the cluster from starting, with what to do", async (_how, damage) => {
    await writeFile(file, damage(await written()));
    await expect(open()).rejects.toThrow(StorageError);
    await expect(open()).rejects.toThrow("is damaged: put a copy in its place, or move it away");
  });

  it("of a later version says so", async () => {
    await writeFile(file, (await written()).replace("storage 1 ", "storage 2 "));
    await expect(open()).rejects.toThrow("is of version 2, and this cluster reads version 1");
  });

  it("that is out of reach says so", async () => {
    await writeFile(join(folder, "state"), "in the way");
    await expect(open()).rejects.toThrow("cannot be read");
  });

  it("that is a folder says so", async () => {
    await mkdir(file, { recursive: true });
    await expect(open()).rejects.toThrow("cannot be read");
  });
});
