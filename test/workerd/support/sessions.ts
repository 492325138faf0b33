import type { FromSession, ToSession } from "../../../protocol/handover/messages.ts";
import type { TestCluster } from "./clusters.ts";
import { call, expectJson } from "./master.ts";

/** What a cluster is answered that asks a player's session. */
export async function askSession(
  cluster: TestCluster,
  playerId: string,
  message: ToSession<string>,
): Promise<readonly FromSession<string>[]> {
  const body = { requests: [{ playerId, message }] };
  const response = await call("POST", `/v1/clusters/${cluster.id}/sessions`, { token: cluster.token, body });
  const { answers } = await expectJson<{ answers: { messages: FromSession<string>[] }[] }>(response, 200);
  return answers[0]?.messages ?? [];
}
