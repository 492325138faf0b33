import { vi } from "vitest";
import type { LinkCommand, PlayerSessionTokens, RevokedPlayer } from "../../../protocol/index.ts";
import type { TestCluster, TestLink } from "./clusters.ts";
import { call } from "./master.ts";

/** Bans a player, as an operator. */
export async function requestBan(
  operator: PlayerSessionTokens,
  playerId: string,
  body: object = { reason: "cheating" },
): Promise<Response> {
  return call("POST", `/v1/admin/players/${playerId}/ban`, { token: operator.accessToken, body });
}

/** What commands say about a player. */
export function revokedIn(commands: readonly LinkCommand[], playerId: string): readonly RevokedPlayer[] {
  return commands
    .flatMap((command) => (command.type === "revoke" ? command.players : []))
    .filter((revoked) => revoked.playerId === playerId);
}

/** Reports until the cluster is told of the player. */
export async function toldOf(cluster: TestCluster, playerId: string): Promise<RevokedPlayer> {
  return vi.waitFor(
    async () => {
      const [told] = revokedIn(await cluster.report(), playerId);
      if (told === undefined) throw new Error("the cluster has not been told");
      return told;
    },
    { timeout: 15_000, interval: 200 },
  );
}

/** Reads the link until it tells of the player; everything else that comes is passed over. */
export async function pushed(link: TestLink, playerId: string): Promise<Extract<LinkCommand, { type: "revoke" }>> {
  for (;;) {
    const command = await link.nextCommand();
    if (command.type === "revoke" && revokedIn([command], playerId).length > 0) return command;
  }
}
