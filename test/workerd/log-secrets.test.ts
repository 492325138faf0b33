import { afterEach, beforeEach, expect, it, type MockInstance, vi } from "vitest";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import {
  assertionOf,
  enrolledKey,
  registration,
  requestRegistration,
  seatOf,
  startCluster,
} from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { requestBan } from "./support/revocations.ts";
import { logInOperator } from "./support/operators.ts";
import { startParty } from "./support/parties.ts";
import { allocate, logIn } from "./support/players.ts";

const levels = ["debug", "log", "info", "warn", "error"] as const;
let spies: readonly MockInstance[];

beforeEach(() => {
  spies = levels.map((level) => vi.spyOn(console, level));
});
afterEach(() => {
  for (const spy of spies) spy.mockRestore();
});

/** Which of these the log has. */
function leaked(secrets: Readonly<Record<string, string>>): string[] {
  const text = spies.flatMap((spy) => spy.mock.calls.flat().map(String)).join("\n");
  expect(text).toContain("http.request");
  return Object.entries(secrets).flatMap(([name, secret]) => (secret !== "" && text.includes(secret) ? [name] : []));
}

/** The part of a token that nobody else has: its header is every other one's, too. */
const signatureOf = (token: string): string => token.slice(-30);

it("[SEC-82] has nothing in it by which somebody could become a player", async () => {
  const mark = crypto.randomUUID();
  const [email, password] = [`${mark}@example.com`, `p-${mark}`];
  const session = await expectJson<PlayerSessionTokens>(
    await call("POST", "/v1/signup", { body: { email, password } }),
    201,
  );
  await expectProblem(
    await call("POST", "/v1/login", { body: { email, password: "wrong-password" } }),
    "INVALID_CREDENTIALS",
  );
  await expectProblem(
    await call("POST", "/v1/refresh", { body: { refreshToken: "made-up-token" } }),
    "REFRESH_TOKEN_INVALID",
  );
  await expectProblem(await call("GET", "/v1/me", { token: `${session.accessToken}x` }), "UNAUTHENTICATED");
  await expectProblem(await call("POST", "/v1/login", { body: "{not-json-at-all" }), "MALFORMED_JSON");
  const { ticket } = await allocate(session, { clusterId: (await startCluster()).id });
  const party = await startParty(1);
  expect(
    leaked({
      email,
      password,
      "a wrong password": "wrong-password",
      "an access token": signatureOf(session.accessToken),
      "a refresh token": session.refreshToken,
      "a refresh token that is none": "made-up-token",
      "a ticket": signatureOf(ticket),
      "a party's code": party.view.code ?? "",
      "a body": "not-json-at-all",
    }),
  ).toEqual([]);
});

it("[SEC-82] has nothing in it by which somebody could become a cluster or an operator", async () => {
  const key = await enrolledKey();
  const assertion = await assertionOf(key, "main");
  await requestRegistration(registration(), assertion);
  await expectProblem(await requestRegistration(registration(), assertion), "ASSERTION_REPLAYED");
  const cluster = await startCluster();
  const operator = await logInOperator();
  const player = await logIn();
  const { ticket } = await allocate(player, { clusterId: cluster.id });
  await cluster.report({ players: 1, joined: [seatOf(player.player, ticket)] });
  await requestBan(operator, player.player.id, { reason: "cheating" });
  const path = `/v1/clusters/${cluster.id}/heartbeat`;
  await expectProblem(await call("POST", path, { token: `${cluster.token}x`, body: {} }), "CLUSTER_SESSION_INVALID");
  expect(
    leaked({
      "an assertion": signatureOf(assertion),
      "a session token": signatureOf(cluster.token),
      "an operator's token": signatureOf(operator.accessToken),
      "a ticket": signatureOf(ticket),
    }),
  ).toEqual([]);
});
