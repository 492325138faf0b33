import { decodeJwt } from "jose";
import { expect } from "vitest";
import { generationAfterCommit } from "../../../protocol/handover/generation.ts";
import type { FromSession, ToSession } from "../../../protocol/handover/messages.ts";
import { openStreams } from "../../../protocol/handover/streams.ts";
import { startCluster, type TestCluster } from "../support/clusters.ts";
import { allocate, logIn } from "../support/players.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { askSession } from "../support/sessions.ts";
import { eventually } from "../../support/eventually.ts";

/** A group's commit is one decision for all its members, told to each, and answered with the same token to every retry. */
export const scenario: CrashScenario = {
  flow: "handover",
  prepare: async () => {
    const [source, destination] = [await startCluster(), await startCluster()];
    const members = [await enter(source), await enter(source)];
    const [leader, follower] = members;
    if (leader === undefined || follower === undefined) throw new Error("a group has two");
    const id = crypto.randomUUID();
    await askSession(source, follower.playerId, { type: "enlist", id, generation: follower.generation, leader });
    const commit: ToSession<string> = {
      type: "commit",
      id,
      destination: { clusterId: destination.id, boot: destination.registered.boot },
      members: members.map(({ playerId, generation }) => ({
        playerId,
        generation,
        snapshot: { state: btoa(playerId), streams: openStreams<string>(generation) },
      })),
    };
    let answer: readonly FromSession<string>[] = [];
    return {
      begin: async () => askSession(source, leader.playerId, commit),
      carryOn: async () => {
        await eventually(async () => {
          answer = await askSession(source, leader.playerId, commit);
          expect(answer).toMatchObject([{ type: "committed" }]);
        });
      },
      check: async () => {
        expect(await askSession(source, leader.playerId, commit)).toEqual(answer);
        for (const { playerId, generation } of members) {
          const moved = generationAfterCommit(generation);
          await eventually(async () => {
            const settled = await askSession(destination, playerId, { type: "joined", generation: moved });
            expect(settled).toEqual([{ type: "settled", playerId, generation: moved }]);
          });
        }
      },
    };
  },
};

async function enter(cluster: TestCluster): Promise<{ readonly playerId: string; readonly generation: number }> {
  const player = await logIn();
  const { ticket } = await allocate(player, { clusterId: cluster.id });
  const { gen: generation } = decodeJwt<{ gen: number }>(ticket);
  const { id: playerId } = player.player;
  await askSession(cluster, playerId, { type: "enter", generation });
  return { playerId, generation };
}
