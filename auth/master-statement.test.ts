import { type CryptoKey, generateKeyPair, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { signHandoverToken, verifyHandoverToken } from "./handover-token.ts";
import { type PeerTicket, signPeerTicket, verifyPeerTicket } from "./peer-ticket.ts";
import { type SigningKey, ticketType } from "./ticket.ts";

const now = 1_800_000_000;
const issued = { issuer: "https://master.test", now };
const expected = { issuer: "https://master.test", clusterId: "eu.b", now };
const commit = {
  id: "handover-1",
  source: "eu.a",
  destination: { clusterId: "eu.b", boot: 7 },
  members: [
    { playerId: "ada", generation: 2 ** 20 },
    { playerId: "bob", generation: 2 ** 21 },
  ],
};
const peer: PeerTicket = {
  world: "main",
  source: { clusterId: "eu.a", boot: 3 },
  destination: { clusterId: "eu.b", boot: 7 },
};

let signingKey: SigningKey;
let other: SigningKey;
let resolveKey: (kid: string) => Promise<CryptoKey | undefined>;

beforeAll(async () => {
  const [pair, stranger] = [await generateKeyPair("ES256"), await generateKeyPair("ES256")];
  signingKey = { kid: "k1", key: pair.privateKey };
  other = { kid: "k1", key: stranger.privateKey };
  resolveKey = (kid) => Promise.resolve(kid === "k1" ? pair.publicKey : undefined);
});

describe("a signed commit", () => {
  it("[HAND-4] says what was committed, to its destination", async () => {
    const token = await signHandoverToken(commit, issued, signingKey);
    expect(await verifyHandoverToken(token, resolveKey, expected)).toEqual({ ok: true, claims: commit });
  });

  it("holds for the largest group, and for no larger one", async () => {
    const member = (index: number) => ({ playerId: crypto.randomUUID(), generation: (index + 1) * 2 ** 20 });
    const group = { ...commit, members: Array.from({ length: 16 }, (_, index) => member(index)) };
    const token = await signHandoverToken(group, issued, signingKey);
    expect(await verifyHandoverToken(token, resolveKey, expected)).toEqual({ ok: true, claims: group });
    const crowd = { ...commit, members: Array.from({ length: 17 }, (_, index) => member(index)) };
    const refused = await verifyHandoverToken(await signHandoverToken(crowd, issued, signingKey), resolveKey, expected);
    expect(refused.ok).toBe(false);
  });
});

describe("a peer ticket", () => {
  it("names both ends of the link", async () => {
    const ticket = await signPeerTicket(peer, issued, signingKey);
    const verdict = await verifyPeerTicket(ticket, resolveKey, { ...expected, boot: 7, world: "main" });
    expect(verdict).toEqual({ ok: true, ticket: peer });
  });

  it.each([
    ["of an earlier process", { boot: 8 }],
    ["of another world", { world: "other" }],
  ])("%s is refused", async (_, changes) => {
    const ticket = await signPeerTicket(peer, issued, signingKey);
    const verdict = await verifyPeerTicket(ticket, resolveKey, { ...expected, boot: 7, world: "main", ...changes });
    expect(verdict.ok).toBe(false);
  });
});

describe("a statement of the master", () => {
  const verify = async (token: string, changes: Partial<typeof expected> = {}) =>
    (await verifyHandoverToken(token, resolveKey, { ...expected, ...changes })).ok;

  it.each([
    ["for another cluster", { clusterId: "eu.c" }],
    ["of another master", { issuer: "https://other.test" }],
    ["that has expired", { now: now + 906 }],
    ["of the future", { now: now - 6 }],
  ])("%s is refused", async (_, changes) => {
    const token = await signHandoverToken(commit, issued, signingKey);
    expect(await verify(token)).toBe(true);
    expect(await verify(token, changes)).toBe(false);
  });

  it("is good up to the tolerance of the clocks", async () => {
    const token = await signHandoverToken(commit, issued, signingKey);
    expect(await verify(token, { now: now + 905 })).toBe(true);
    expect(await verify(token, { now: now - 5 })).toBe(true);
  });

  it("that is a statement of another kind, or a ticket, is refused", async () => {
    expect(await verify(await signPeerTicket(peer, issued, signingKey))).toBe(false);
    const ticket = await new SignJWT({ iss: issued.issuer, aud: "eu.b", iat: now, exp: now + 60 })
      .setProtectedHeader({ alg: "ES256", typ: ticketType, kid: "k1" })
      .sign(signingKey.key);
    expect(await verify(ticket)).toBe(false);
  });

  it("of another key, changed, cut or padded is refused", async () => {
    expect(await verify(await signHandoverToken(commit, issued, other))).toBe(false);
    expect(await verify(await signHandoverToken(commit, issued, { ...signingKey, kid: "k2" }))).toBe(false);
    const token = await signHandoverToken(commit, issued, signingKey);
    const [header = "", payload = "", signature = ""] = token.split(".");
    const changed = btoa(JSON.stringify({ ...commit, iss: issued.issuer })).replaceAll("=", "");
    for (const bad of [
      `${header}.${changed}.${signature}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${token}.${payload}`,
      `${token}${"a".repeat(4_096)}`,
      "",
    ]) {
      expect(await verify(bad), bad.slice(0, 60)).toBe(false);
    }
  });

  it.each([
    ["no members", { mem: [] }],
    ["a member that is none", { mem: [["ada"]] }],
    ["a generation that is none", { mem: [["ada", -1]] }],
    ["no boot", { boot: undefined }],
    ["too long a life", { exp: now + 901 }],
    ["no life", { exp: now }],
  ])("with %s is refused, whoever signed it", async (_, changes) => {
    const claims = { iss: issued.issuer, aud: "eu.b", iat: now, exp: now + 60, boot: 7, id: "h", src: "eu.a" };
    const sign = (more: object) =>
      new SignJWT({ ...claims, mem: [["ada", 1]], ...more })
        .setProtectedHeader({ alg: "ES256", typ: "sustenet-handover+jwt", kid: "k1" })
        .sign(signingKey.key);
    expect(await verify(await sign({}))).toBe(true);
    expect(await verify(await sign(changes))).toBe(false);
  });
});
