import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { PublicKeySet } from "../../auth/key-set.ts";
import { verifyTicket } from "../../auth/ticket.ts";
import { startCluster, seatOf } from "./support/clusters.ts";
import { call, expectJson, masterUrl } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";

describe("the whole path", () => {
  it("leads from a login to a ticket that the cluster accepts, without asking the master", async () => {
    const cluster = await startCluster({ capacity: 10 });
    const player = await logIn("Grace");
    const { ticket, expiresAt, reservationId, cluster: place } = await allocate(player, { clusterId: cluster.id });
    const { id, details, registered } = { id: cluster.id, details: cluster.details, registered: cluster.registered };
    expect(place).toEqual({ id, name: details.name, host: details.host, port: details.port, tls: details.tls });

    const keys = new PublicKeySet({
      fetchKeys: () => Promise.reject(new Error("offline")),
      algorithms: ["ES256"],
      refetchIntervalMs: 1_000,
      maxAgeMs: 1_000_000,
      now: Date.now,
    });
    await keys.install(registered.jwks);
    const verdict = await verifyTicket(ticket, (kid) => keys.resolve(kid), {
      issuer: masterUrl,
      clusterId: id,
      game: env.GAME_ID,
      boot: registered.boot,
      versions: { min: 1, max: 1 },
      maxLifetimeSeconds: 60,
      now: Date.now() / 1_000,
    });
    expect(verdict).toMatchObject({
      ok: true,
      claims: { sub: player.player.id, name: "Grace", rsv: reservationId, exp: expiresAt },
    });

    const commands = await cluster.report({ full: true, players: 1, joined: [seatOf(player.player, ticket)] });
    expect(commands).toEqual([{ type: "ack", sequence: 1, reportIntervalMs: 1_000 }]);
  });

  it("answers a retry with the identical bytes", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const key = crypto.randomUUID();
    const first = await (await requestAllocation(player, { clusterId: cluster.id }, key)).text();
    const second = await (await requestAllocation(player, { clusterId: cluster.id }, key)).text();
    expect(second).toBe(first);
    expect(first).toContain(cluster.id);
  });

  it("tells who is logged in", async () => {
    const player = await logIn("Joan");
    const me = await expectJson(await call("GET", "/v1/me", { token: player.accessToken }), 200);
    expect(me).toEqual(player.player);
  });
});
