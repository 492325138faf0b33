import { generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { signTicket, verifyTicket } from "../../auth/ticket.ts";
import { parseAllocation, parseClusters, parseTokens } from "../../clients/typescript/answers.ts";
import { parseLinkCommand, parseRegisterResponse } from "../../data-plane/master-link/master-answers.ts";
import { missingFrom } from "../support/coverage.ts";
import recorded from "./recorded/previous-release.json" with { type: "json" };

/*
 * Through a deploy, clusters and clients of today may meet the master of the release before: what it answered then was recorded
 * by running it.
 */

const { cluster, client, ticket } = recorded;

describe("what the master of the release before answers", () => {
  it("is a registration to a cluster of today", () => {
    const { answer } = cluster.register;
    expect(parseRegisterResponse(answer)).toMatchObject({
      clusterId: answer.clusterId,
      boot: answer.boot,
      leaseMs: answer.leaseMs,
      jwks: answer.jwks,
    });
  });

  it("are commands that a cluster of today knows", () => {
    const commands = cluster.link.flatMap(({ down }) => (down === undefined || down === "pong" ? [] : [down]));
    expect(commands.length).toBeGreaterThan(3);
    for (const text of commands) expect(parseLinkCommand(JSON.parse(text))).toMatchObject(JSON.parse(text));
  });

  it("are tokens, clusters and an allocation to a client of today", () => {
    expect(parseTokens(client.login.answer).player).toEqual(client.login.answer.player);
    expect(parseClusters(client.clusters.answer)).toMatchObject(client.clusters.answer.clusters);
    expect(parseAllocation(client.allocate.answer)).toMatchObject({
      reservationId: client.allocate.answer.reservationId,
      cluster: client.allocate.answer.cluster,
    });
  });

  it("is a ticket with which a cluster of today lets in", async () => {
    const { claims, header } = ticket;
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const signed = await signTicket(claims, { kid: header.kid, key: privateKey });
    const verdict = await verifyTicket(signed, async () => publicKey, {
      issuer: claims.iss,
      clusterId: claims.aud,
      game: claims.game,
      boot: claims.boot,
      versions: { min: 1, max: 1 },
      maxLifetimeSeconds: 300,
      now: claims.iat,
    });
    expect(verdict).toMatchObject({ ok: true, claims });
  });
});

describe("the comparison with an earlier release", () => {
  it.each([
    [{ a: 1 }, { a: 1, b: "x" }, ["$.b: gone"]],
    [{ a: "1" }, { a: 1 }, ["$.a: string instead of number"]],
    [{ a: [{ b: 1 }] }, { a: [{ b: 1, c: null }] }, ["$.a[0].c: gone"]],
    [{ a: [] }, { a: [1] }, ["$.a: empty"]],
    [{ a: null }, { a: {} }, ["$.a: no object any more"]],
    [{ a: 1, b: 2 }, { a: 3 }, []],
  ])("of %j with %j finds %j", (today, earlier, missing) => {
    expect(missingFrom(today, earlier)).toEqual(missing);
  });
});
