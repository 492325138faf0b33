import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createClient, type GameSession } from "../../clients/typescript/index.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";

/** A real master, and its only cluster: one supervised process whose plugin can be told to loop for ever. */
let stateDir: string;
let master: MasterProcess;
let cluster: ClusterProcess;
const log: string[] = [];
const say = (who: string, what: string): void => void log.push(`${who} ${what}`);

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-watchdog-"));
  master = await startMaster({ stateDir, port: 0, say });
  const program = join(import.meta.dirname, "../support/looping-cluster.ts");
  const settings = ["instances = 1", "watchdog_seconds = 3"];
  cluster = await startCluster({ stateDir, number: 1, master, say, program, settings });
});

afterAll(async () => {
  await cluster.stop();
  await master.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

async function play(): Promise<{ readonly session: GameSession; readonly heard: number[]; rejoined: number }> {
  const client = createClient({ masterUrl: master.url });
  await client.login({ anonymous: true });
  const heard: number[] = [];
  const player = { session: await client.join(await client.allocate({})), heard, rejoined: 0 };
  player.session.on("message", ({ command }) => void heard.push(command));
  player.session.on("rejoined", () => (player.rejoined += 1));
  return player;
}

it("[PLUGIN-4] a loop without end costs its players a moment: the process is restarted, and they are back by themselves", async () => {
  const [culprit, bystander] = await Promise.all([play(), play()]);
  bystander.session.send(2);
  await expect.poll(() => bystander.heard).toEqual([2]);
  culprit.session.send(1);
  await expect.poll(() => [culprit.rejoined, bystander.rejoined], { timeout: 60_000 }).toEqual([1, 1]);
  expect(log.join("\n")).toContain("onMessage of plugin looper");
  for (const player of [culprit, bystander]) {
    player.session.send(3);
    await expect.poll(() => player.heard.at(-1)).toBe(3);
    await player.session.leave();
  }
});
