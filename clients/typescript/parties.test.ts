import { afterEach, describe, expect, it } from "vitest";
import type { PartyHeld, PartyView } from "../../protocol/index.ts";
import { createClient } from "./index.ts";
import {
  type Answer,
  problem,
  sampleTokens,
  type ScriptedMaster,
  startScriptedMaster,
} from "./testing/scripted-master.ts";

const view: PartyView = {
  id: "p".repeat(22),
  code: "c".repeat(16),
  size: 4,
  state: "open",
  leaderId: "player-1",
  members: [{ playerId: "player-1", displayName: "Ada", claimed: false }],
  expiresAt: 1_795_359_600,
};
const held: PartyHeld = {
  status: "held",
  cluster: { id: "eu.c", name: "C" },
  expiresAt: 1_795_359_600,
  members: ["player-1"],
};

let master: ScriptedMaster | undefined;

afterEach(async () => {
  await master?.close();
});

async function start(answers: Readonly<Record<string, readonly Answer[]>>) {
  master = await startScriptedMaster(({ route }, index) => {
    const script = answers[route] ?? [];
    return script[Math.min(index, script.length - 1)] ?? problem("NOT_FOUND");
  });
  return { master, client: createClient({ masterUrl: master.url, tokens: sampleTokens("a") }) };
}

describe("parties", () => {
  it("[PARTY-2] are made, joined, shown and left", async () => {
    const path = `/v1/parties/${view.id}`;
    const ok: Answer = { status: 200, body: view };
    const { client, master: seen } = await start({
      "POST /v1/parties": [ok],
      [`POST ${path}/members`]: [ok],
      [`GET ${path}`]: [{ status: 200, body: { ...view, state: "held", hold: { clusterId: "eu.c", expiresAt: 5 } } }],
      [`DELETE ${path}/members/player-1`]: [{ status: 204 }],
      [`DELETE ${path}/allocate`]: [{ status: 204 }],
      [`DELETE ${path}`]: [{ status: 204 }],
    });
    expect(await client.parties.create({ size: 4 })).toEqual(view);
    expect(await client.parties.join(view)).toEqual(view);
    expect((await client.parties.show(view.id)).hold).toEqual({ clusterId: "eu.c", expiresAt: 5 });
    await client.parties.remove(view.id, "player-1");
    await client.parties.giveUp(view.id);
    await client.parties.disband(view.id);
    expect(seen.of("POST /v1/parties")[0]?.body).toEqual({ size: 4 });
    expect(seen.of(`POST ${path}/members`)[0]?.body).toEqual({ code: view.code });
    expect(seen.seen.every(({ headers }) => headers["authorization"] === "Bearer access-a")).toBe(true);
  });

  it("[PARTY-6] wait for their seats under one key", async () => {
    const route = `POST /v1/parties/${view.id}/allocate`;
    const waiting = { reservationId: "r", place: "1~t", position: 1, estimateSeconds: 2, retryAfterSeconds: 1 };
    const { client, master: seen } = await start({
      [route]: [{ status: 202, body: { status: "waiting", ...waiting } }, "drop", { status: 200, body: held }],
    });
    const positions: number[] = [];
    const onWaiting = ({ position }: { position: number }) => positions.push(position);
    expect(await client.parties.allocate(view.id, { wait: true }, { onWaiting })).toEqual(held);
    expect(positions).toEqual([1]);
    const requests = seen.of(route);
    expect(requests.map(({ body }) => body)).toEqual([{ wait: true }, { wait: true }, { wait: true }]);
    expect(new Set(requests.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  });

  it("say why not", async () => {
    const { client } = await start({
      "POST /v1/parties": [problem("IN_ANOTHER_PARTY")],
      [`GET /v1/parties/${view.id}`]: [{ status: 200, body: { ...view, members: "all" } }],
    });
    await expect(client.parties.create()).rejects.toMatchObject({ code: "IN_ANOTHER_PARTY", advice: "fix" });
    await expect(client.parties.show(view.id)).rejects.toMatchObject({ code: "BAD_ANSWER" });
  });
});
