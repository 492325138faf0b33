import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createClient, type GameSession } from "../../clients/typescript/index.ts";
import { ByteReader } from "../../data-plane/index.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";
import { heard, whisper } from "../../examples/whisper/plugin.ts";

/** A real master, and two real clusters of the whispering example. */
let stateDir: string;
let master: MasterProcess;
let clusters: ClusterProcess[];
const say = (): void => undefined;
const program = join(import.meta.dirname, "../support/whisper-cluster.ts");

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-mail-"));
  master = await startMaster({ stateDir, port: 0, say });
  clusters = await Promise.all([1, 2].map((number) => startCluster({ stateDir, number, master, say, program })));
});

afterAll(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  await master.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

interface Whisperer {
  readonly id: string;
  readonly session: GameSession;
  readonly heard: { readonly from: string; readonly text: string }[];
  whisper(to: string, text: string): Promise<string>;
}

/** A new player in the game on this cluster. */
async function enter(clusterId: string): Promise<Whisperer> {
  const client = createClient({ masterUrl: master.url });
  const { id } = await client.login({ anonymous: true });
  const session = await client.join(await client.allocate({ clusterId }));
  const whispers: { from: string; text: string }[] = [];
  session.on("message", ({ command, payload }) => {
    if (command === heard.command) whispers.push(heard.decode(new ByteReader(payload)));
  });
  return {
    id,
    session,
    heard: whispers,
    whisper: async (to, text) =>
      new TextDecoder().decode(await session.request(whisper.command, whisper.encode({ to, text }))),
  };
}

it("players of two clusters whisper to each other; nobody else hears, and nothing waits for who is not there", async () => {
  const ids = (await createClient({ masterUrl: master.url }).clusters()).map(({ id }) => id);
  expect(ids).toHaveLength(2);
  const [ada, bob, eve] = await Promise.all([enter(ids[0] ?? ""), enter(ids[1] ?? ""), enter(ids[1] ?? "")]);
  // The master knows where somebody is once the cluster has reported it.
  await expect.poll(() => ada.whisper(bob.id, "hello")).toBe("sent");
  await expect.poll(() => bob.heard).toEqual([{ from: ada.id, text: "hello" }]);
  await expect.poll(() => bob.whisper(ada.id, "who is there?")).toBe("sent");
  await expect.poll(() => ada.heard).toEqual([{ from: bob.id, text: "who is there?" }]);
  expect(await bob.whisper(eve.id, "psst")).toBe("sent");
  await expect.poll(() => eve.heard).toEqual([{ from: bob.id, text: "psst" }]);
  expect(await ada.whisper(crypto.randomUUID(), "anybody?")).toBe("unknown");
  await eve.session.leave();
  await expect.poll(() => ada.whisper(eve.id, "gone?")).toBe("unknown");
  expect(bob.heard).toHaveLength(1);
  await ada.session.leave();
  await bob.session.leave();
});
