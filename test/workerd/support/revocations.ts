import type { LinkCommand, PlayerSessionTokens, RevokedPlayer } from "../../../protocol/index.ts";
import type { TestCluster, TestLink } from "./clusters.ts";
import { call } from "./master.ts";
import { eventually } from "../../support/eventually.ts";

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
  return eventually(async () => {
    const [told] = revokedIn(await cluster.report(), playerId);
    if (told === undefined) throw new Error("the cluster has not been told");
    return told;
  });
}

/** Reads the link until it tells of the player; everything else that comes is passed over. */
export async function pushed(link: TestLink, playerId: string): Promise<Extract<LinkCommand, { type: "revoke" }>> {
  for (;;) {
    const command = await link.nextCommand();
    if (command.type === "revoke" && revokedIn([command], playerId).length > 0) return command;
  }
}
