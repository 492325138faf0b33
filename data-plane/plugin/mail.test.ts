import { afterEach, describe, expect, it } from "vitest";
import { linkCloseCodes, maxMailBytes } from "../../protocol/index.ts";
import { FakeMaster } from "../testing/fake-master.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import type { Mail } from "./mail.ts";
import type { Cluster, ServerPlugin } from "./server-plugin.ts";

let cluster: TestCluster;
let view: Cluster;
afterEach(() => cluster.stop());

const text = new TextEncoder().encode("come to the market");
const base64 = Buffer.from(text).toString("base64");
const elsewhere = { type: "mail", from: "eu.other", playerId: "hero", generation: 1, command: 7, payload: base64 };

async function start(plugin: ServerPlugin | readonly ServerPlugin[], master?: FakeMaster): Promise<void> {
  const plugins = "length" in plugin ? plugin : [plugin];
  const opening: ServerPlugin = { name: "opening", onStart: (started) => void (view = started) };
  cluster = await startTestCluster({ plugin: [opening, ...plugins], ...(master === undefined ? {} : { master }) });
  await reported();
}

/** Until the next full report has come: the link is open at both ends. */
async function reported(): Promise<void> {
  const { reports } = cluster.master;
  await until("the first report of a link", () => reports.some(({ full }) => full));
}

async function relink(code: number): Promise<void> {
  const { master } = cluster;
  master.reports.length = 0;
  master.endLinks(code);
  await reported();
}

describe("a message to a player elsewhere", () => {
  it("goes to the master, whose word is its outcome", async () => {
    await start({});
    const { master } = cluster;
    expect(await view.tell("ada", 7, text)).toBe("sent");
    expect(master.tells).toEqual([{ type: "tell", id: 1, playerId: "ada", command: 7, payload: base64 }]);
    master.mailOutcome = "unknown";
    expect(await view.tell("ada", 7)).toBe("unknown");
    expect(cluster.server.metrics.mailSent).toEqual({ sent: 1, unknown: 1 });
    // It is no report, and none came for it.
    expect(master.reports.every(({ type }) => type === "report")).toBe(true);
  });

  it("[MAIL-2] is thrown back at once when it does not fit", async () => {
    await start({});
    expect(() => view.tell("ada", 256)).toThrow(RangeError);
    expect(() => view.tell("ada", 1, new Uint8Array(maxMailBytes + 1))).toThrow(RangeError);
    expect(await view.tell("ada", 1, new Uint8Array(maxMailBytes))).toBe("sent");
    expect(await Promise.all([view.tell("", 1), view.tell("a".repeat(65), 1)])).toEqual(["unknown", "unknown"]);
    expect(cluster.master.tells).toHaveLength(1);
  });

  it("is not sent to a master of an earlier version, nor to one that ended the link over one", async () => {
    const master = await new FakeMaster().start();
    master.takesMail = false;
    await start({}, master);
    expect(await view.tell("ada", 7)).toBe("refused");
    master.takesMail = true;
    await relink(linkCloseCodes.REGISTER_AGAIN);
    master.mailOutcome = undefined;
    const lost = view.tell("ada", 7);
    await until("the message", () => master.tells.length === 1);
    await relink(linkCloseCodes.BAD_MESSAGE);
    expect(await lost).toBe("lost");
    expect(await view.tell("ada", 7)).toBe("refused");
    expect(master.tells).toHaveLength(1);
    // The next registration says anew what its master can take.
    master.mailOutcome = "sent";
    await relink(linkCloseCodes.REGISTER_AGAIN);
    expect(await view.tell("ada", 7)).toBe("sent");
  });
});

describe("a message for a player here", () => {
  it("[MAIL-4] comes from the master, and goes on to the player's client once a plugin has seen it", async () => {
    const seen: [string, Mail][] = [];
    await start({ onMail: (player, mail) => void seen.push([player.id, mail]) });
    const client = await cluster.joined({ sub: "hero", gen: 5 });
    cluster.master.command({ ...elsewhere, playerId: "nobody" });
    cluster.master.command({ ...elsewhere, generation: 6 });
    cluster.master.command({ ...elsewhere, generation: 5 });
    expect(await client.next("message")).toMatchObject({ command: 7, payload: text });
    expect(seen).toEqual([["hero", { from: "eu.other", command: 7, payload: Buffer.from(text) }]]);
    expect(client.types()).not.toContain("message");
    expect(cluster.server.metrics.mailReceived).toEqual({ stray: 2, passed: 1 });
  });

  it("goes straight to it from a player of the same cluster, through the same hook", async () => {
    const from: unknown[] = [];
    await start({ onMail: (_, mail) => void from.push(mail.from) });
    const client = await cluster.joined({ sub: "hero" });
    expect(await view.tell("hero", 7, text)).toBe("sent");
    expect(await client.next("message")).toMatchObject({ command: 7, payload: text });
    expect(from).toEqual([undefined]);
    expect(cluster.master.tells).toEqual([]);
  });

  it.each<[string, readonly ServerPlugin[]]>([
    ["no plugin takes mail", [{}]],
    ["a plugin keeps it", [{ onMail: () => undefined }, { onMail: () => false }]],
    [
      "a plugin fails over it",
      [
        {
          onMail: () => {
            throw new Error("on purpose");
          },
        },
      ],
    ],
  ])("[MAIL-5] is kept from it where %s", async (_, plugins) => {
    await start(plugins);
    const client = await cluster.joined({ sub: "hero" });
    cluster.master.command(elsewhere);
    await until("the mail", () => cluster.server.metrics.mailReceived["kept"] === 1);
    for (const player of view.players) player.send(9);
    expect(await client.next("message")).toMatchObject({ command: 9 });
  });

  it("[MAIL-5] is kept from it where the hook answers with a promise", async () => {
    const late: ServerPlugin = { name: "late" };
    // As it may come from JavaScript: the type does not allow it.
    Object.assign(late, { onMail: async () => true });
    await start(late);
    await cluster.joined({ sub: "hero" });
    cluster.master.command(elsewhere);
    await until("the mail", () => cluster.server.metrics.mailReceived["kept"] === 1);
    expect(cluster.log.text()).toContain("onMail");
  });
});
