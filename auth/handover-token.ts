import type { CommitClaims, MemberRef } from "../protocol/handover/parties.ts";
import { maxMembers } from "../protocol/handover/parties.ts";
import { limits } from "../protocol/index.ts";
import { signStatement, type StatementExpectations, type StatementKind, verifyStatement } from "./master-statement.ts";
import type { SigningKey, TicketKeyResolver } from "./ticket.ts";
import { isCount } from "./compact-jws.ts";

/**
 * The signed commit of a handover: the one way to authority at its destination. Spec: docs/HANDOVER.md, section 5. [HAND-4] It lives as long as
 * a source may go on trying to deliver it.
 */
export const handoverTokenKind: StatementKind = {
  type: "sustenet-handover+jwt",
  maxBytes: limits.maxHandoverTokenBytes,
  maxLifetimeSeconds: 900,
};

/** @throws RangeError when it would be too long */
export async function signHandoverToken(
  commit: CommitClaims,
  issued: { readonly issuer: string; readonly now: number },
  signingKey: SigningKey,
): Promise<string> {
  const { id, source, destination, members } = commit;
  const claims = {
    iss: issued.issuer,
    aud: destination.clusterId,
    iat: issued.now,
    exp: issued.now + handoverTokenKind.maxLifetimeSeconds,
    boot: destination.boot,
    id,
    src: source,
    mem: members.map(({ playerId, generation }) => [playerId, generation]),
  };
  return signStatement(handoverTokenKind, claims, signingKey);
}

/** What the token says, or why it says nothing. Whether it is for a handover that is under way here is for the handover to judge. */
export async function verifyHandoverToken(
  token: string,
  resolveKey: TicketKeyResolver,
  expected: StatementExpectations,
): Promise<{ readonly ok: true; readonly claims: CommitClaims } | { readonly ok: false; readonly detail: string }> {
  const verdict = await verifyStatement(handoverTokenKind, token, resolveKey, expected);
  if (!verdict.ok) return verdict;
  const { id, src, boot, mem } = verdict.claims;
  const members = parseMembers(mem);
  if (typeof id !== "string" || typeof src !== "string" || !isCount(boot) || members === undefined) {
    return { ok: false, detail: "a claim is not of its shape" };
  }
  return { ok: true, claims: { id, source: src, destination: { clusterId: expected.clusterId, boot }, members } };
}

function parseMembers(value: unknown): readonly MemberRef[] | undefined {
  if (!Array.isArray(value) || value.length < 1 || value.length > maxMembers) return undefined;
  const members: MemberRef[] = [];
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined;
    const [playerId, generation]: unknown[] = pair;
    if (typeof playerId !== "string" || !isCount(generation)) return undefined;
    members.push({ playerId, generation });
  }
  return members;
}
