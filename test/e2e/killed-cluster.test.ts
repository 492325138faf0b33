import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createClient } from "../../clients/typescript/index.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";
import { worldPart } from "../../dev/world-part.ts";

/** A real master, two real clusters that share a world, one of which is killed. */
let stateDir: string;
let master: MasterProcess;
let clusters: ClusterProcess[];
const log: string[] = [];
const say = (who: string, what: string): void => void log.push(`${who} ${what}`);

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-killed-"));
  master = await startMaster({ stateDir, port: 0, say });
  clusters = await Promise.all([1, 2].map(start));
});

const start = (number: number) => startCluster({ stateDir, number, master, part: worldPart(number, 2), say });

afterAll(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  await master.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

async function allocatedPort(): Promise<number> {
  const client = createClient({ masterUrl: master.url });
  await client.login({ anonymous: true });
  return (await client.allocate({})).cluster.port;
}

async function twelvePorts(): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < 12) ports.push(await allocatedPort());
  return ports;
}

it("a cluster that is killed is soon given to nobody, and again once it is back", async () => {
  const [killed, other] = clusters;
  if (killed === undefined || other === undefined) throw new Error("two clusters were started");
  await expect.poll(() => log.filter((line) => line.includes("the link to the master is up")).length).toBe(2);
  const linked = (title: string) => log.filter((line) => line.startsWith(`${title} linked to`)).length;
  const bothLinked = () => [linked("cluster-1"), linked("cluster-2")];
  await expect.poll(bothLinked).toEqual([1, 1]);
  killed.child.kill("SIGKILL");
  await killed.ended;
  // Before its lease of 30 s is over.
  await expect.poll(twelvePorts, { timeout: 25_000 }).toEqual(Array.from({ length: 12 }, () => other.port));
  const again = await start(1);
  clusters = [again, other];
  await expect.poll(allocatedPort).toBe(again.port);
  await expect.poll(bothLinked).toEqual([2, 2]);
});
