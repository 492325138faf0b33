/** The Durable Object around `PlayerSession`: what it keeps is durable; answers leave after it. */
import type { BodyLength } from "../../protocol/handover/commit-length.ts";
import { claimsOf, type SessionEvent } from "../../protocol/handover/session-state.ts";
import { issueGeneration } from "./issued-generation.ts";
import type { CommitClaims } from "../../protocol/handover/parties.ts";
import { sessionOf } from "../../protocol/handover/generation.ts";
import { clusterOf, playerOf, type Shell } from "./shell.ts";
import type { History, Mail } from "./world.ts";
import { post } from "./wires.ts";

/** Stands for the signature: only this file makes tokens. */
const signature = "signed:";

/** @param lengthOf as `stepSession` has it */
export function deliverToSession(
  shell: Shell,
  mail: Extract<Mail, { to: "session" | "member" }>,
  lengthOf?: BodyLength<History>,
): void {
  const { playerId } = mail;
  if (mail.to === "member") return stepSessionOf(shell, playerId, { type: "member", message: mail.message });
  const { from, message } = mail;
  if (message.type !== "commit") return stepSessionOf(shell, playerId, { type: "request", clusterId: from, message });
  const token = signature + JSON.stringify(claimsOf(from, message));
  stepSessionOf(shell, playerId, { type: "commit", clusterId: from, message, token }, lengthOf);
}

/** What a signed commit says. */
export function readToken(token: string): CommitClaims {
  if (!token.startsWith(signature)) throw new Error("a token that nobody signed");
  const claims: CommitClaims = JSON.parse(token.slice(signature.length));
  return claims;
}

export function stepSessionOf(
  shell: Shell,
  playerId: string,
  event: SessionEvent<History>,
  lengthOf?: BodyLength<History>,
): void {
  const { world, parts, faults } = shell;
  const player = playerOf(shell, playerId);
  const before = player.session;
  const { state, effects } = parts.stepSession(before, event, lengthOf);
  player.session = state;
  if (
    state.save !== before.save &&
    before.save !== undefined &&
    !(state.save?.state ?? "").startsWith(before.save.state)
  ) {
    faults.push(
      `[HAND-8] ${playerId}: the save "${state.save?.state ?? ""}" does not go on from "${before.save.state}"`,
    );
  }
  if (sessionOf(state.generation) > sessionOf(before.generation)) noteSuperseded(shell, playerId);
  for (const effect of effects) {
    if (effect.type === "toMember") {
      post(world, { to: "member", playerId: effect.playerId, message: effect.message });
    } else {
      const { boot } = clusterOf(shell, effect.clusterId);
      post(world, { to: "cluster", cluster: effect.clusterId, boot, message: effect.message });
    }
  }
}

/** A new session begins elsewhere while a cluster has something of the player that nobody else has: that may be lost. */
function noteSuperseded(shell: Shell, playerId: string): void {
  const player = playerOf(shell, playerId);
  const { save, holder } = player.session;
  for (const cluster of Object.values(shell.world.clusters)) {
    if (!cluster.alive || cluster.name === holder) continue;
    const copy = cluster.copies[playerId];
    if (copy !== undefined && (save?.streams === undefined || copy.history !== save.state)) player.mayLose = true;
    if (hasHeld(shell, cluster.name, playerId)) player.mayLose = true;
  }
}

/** Whether a cluster holds items for the player that no other one has. */
export function hasHeld(shell: Shell, cluster: string, playerId: string): boolean {
  return Object.values(clusterOf(shell, cluster).sources).some((source) =>
    source.members.some((member) => member.playerId === playerId && member.held.some((item) => item.kind === "output")),
  );
}

/** `POST /v1/allocate`: a ticket for a cluster. */
export function issueTicket(shell: Shell, playerId: string, cluster: string): string {
  const player = playerOf(shell, playerId);
  const { state, generation } = issueGeneration(player.session);
  player.session = state;
  return JSON.stringify({ generation, boot: clusterOf(shell, cluster).boot });
}

export function readTicket(ticket: string): { readonly generation: number; readonly boot: number } {
  const claims: { generation: number; boot: number } = JSON.parse(ticket);
  return claims;
}
