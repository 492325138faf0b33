import { decodeJwt, decodeProtectedHeader } from "jose";
import { describe, expect, it } from "vitest";
import type {
  Allocation,
  LinkReport,
  PlayerSessionTokens,
  RegisterRequest,
  RegisterResponse,
} from "../../protocol/index.ts";
import recorded from "../conformance/recorded/previous-release.json" with { type: "json" };
import { missingFrom } from "../support/coverage.ts";
import { assertionOf, enrolledKey, requestRegistration, seatOf, TestCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logIn, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

/*
 * Clusters and clients of the release before go on working through a deploy. What they said, and what the master of that time
 * answered, was recorded by running them: see test/conformance/recorded.
 */

const { cluster: of, client, ticket: recordedTicket } = recorded;
// As it was sent: the types of today need not be those of then.
const registerBody: RegisterRequest = { ...of.register.body, name: "Of the release before" };

async function startPreviousCluster(): Promise<TestCluster> {
  const key = await enrolledKey();
  const response = await requestRegistration(registerBody, await assertionOf(key, registerBody.instance));
  const registered = await expectJson<RegisterResponse>(response, 200);
  expect(missingFrom(registered, of.register.answer)).toEqual([]);
  return new TestCluster(key, registerBody, registered);
}

async function signUpAsBefore(): Promise<PlayerSessionTokens> {
  const account = { ...client.signup.body, email: `${crypto.randomUUID()}@example.com` };
  const signedUp = await expectJson(await call("POST", client.signup.path, { body: account }), client.signup.status);
  expect(missingFrom(signedUp, client.signup.answer)).toEqual([]);
  const { email, password } = account;
  const response = await call("POST", client.login.path, { body: { ...client.login.body, email, password } });
  const tokens = await expectJson<PlayerSessionTokens>(response, client.login.status);
  expect(missingFrom(tokens, client.login.answer)).toEqual([]);
  return tokens;
}

/** The links of that time: what the cluster said, with the names of today's player in it. */
function recordedReports(seat: { reservationId: string; playerId: string; generation: number }): LinkReport[] {
  return of.link.flatMap(({ up }): LinkReport[] => {
    if (up === undefined || up === "ping") return [];
    const report: LinkReport = JSON.parse(up);
    const renamed = (refs: LinkReport["joined"]) => refs.map(() => seat);
    return [{ ...report, joined: renamed(report.joined), left: renamed(report.left) }];
  });
}

describe("of the release before", () => {
  it("a client signs up, logs in, lists clusters, and is allocated to a cluster of its own release", async () => {
    const cluster = await startPreviousCluster();
    const player = await signUpAsBefore();
    const listed = await expectJson<{ clusters: { id: string }[] }>(await call("GET", client.clusters.path), 200);
    const own = listed.clusters.find(({ id }) => id === cluster.id);
    expect(missingFrom({ clusters: [own] }, client.clusters.answer)).toEqual([]);
    const answer = await call("POST", client.allocate.path, {
      token: player.accessToken,
      body: { ...client.allocate.body, clusterId: cluster.id },
      headers: { "idempotency-key": crypto.randomUUID() },
    });
    const allocation = await expectJson<Allocation>(answer, client.allocate.status);
    expect(missingFrom(allocation, client.allocate.answer)).toEqual([]);
    expect(missingFrom(decodeProtectedHeader(allocation.ticket), recordedTicket.header)).toEqual([]);
    expect(missingFrom(decodeJwt(allocation.ticket), recordedTicket.claims)).toEqual([]);
    // What a cluster of that time checks has to be the same kind of thing.
    expect(decodeJwt(allocation.ticket)).toMatchObject({ aud: cluster.id, proto: recordedTicket.claims.proto });
  });

  it("a cluster reports over its link word for word as it did, and its player's seat is used and given back", async () => {
    const cluster = await startPreviousCluster();
    const player = await logIn();
    const key = crypto.randomUUID();
    const allocation = await expectJson<Allocation>(
      await requestAllocation(player, { clusterId: cluster.id }, key),
      200,
    );
    const seat = seatOf(player.player, allocation.ticket);
    const link = await cluster.openLink();
    link.send("ping");
    expect(await link.next()).toEqual({ text: "pong" });
    const acks = of.link.flatMap(({ down }) => (down === undefined || down === "pong" ? [] : [JSON.parse(down)]));
    for (const [index, report] of recordedReports(seat).entries()) {
      link.send(report);
      const command = await link.nextCommand();
      expect(missingFrom(command, acks[index])).toEqual([]);
      expect(command).toMatchObject({ type: "ack", sequence: report.sequence });
    }
    await eventually(async () => {
      await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "TICKET_CONSUMED");
    });
    link.close();
    const response = await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token });
    expect(response.status).toBe(of.deregister.status);
  });
});
