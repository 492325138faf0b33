import { beforeEach, expect, it } from "vitest";
import type { CommitClaims } from "../../protocol/handover/parties.ts";
import { PeerInbox, type PeerMessage } from "./peer-inbox.ts";

const a = { clusterId: "a", boot: 1 };
const c = { clusterId: "c", boot: 1 };
const commit: PeerMessage = { type: "commit", id: "h", token: "t" };
const forward: PeerMessage = { type: "forward", id: "h", playerId: "p", index: 1, item: { kind: "leave" } };
const finished: PeerMessage = { type: "finished", id: "h" };
const claims: CommitClaims = { id: "h", source: "a", destination: { clusterId: "b", boot: 1 }, members: [] };

let dealt: string[];
let checks: PromiseWithResolvers<CommitClaims | undefined>[];
let inbox: PeerInbox;

beforeEach(() => {
  dealt = [];
  checks = [];
  inbox = new PeerInbox({
    verify: () => {
      const check = Promise.withResolvers<CommitClaims | undefined>();
      checks.push(check);
      return check.promise;
    },
    deal: (from, { type }, said) => void dealt.push(`${from.clusterId} ${type} ${said?.id ?? "-"}`),
  });
});

async function answer(index: number, said: CommitClaims | undefined): Promise<void> {
  checks[index]?.resolve(said);
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}

it("[HAND-7] keeps what comes behind a token until that has been checked, and others' messages not", async () => {
  inbox.receive(a, commit);
  inbox.receive(a, forward);
  inbox.receive(c, finished);
  expect(dealt).toEqual(["c finished -"]);
  await answer(0, claims);
  expect(dealt).toEqual(["c finished -", "a commit h", "a forward -"]);
  inbox.receive(a, finished);
  expect(dealt.at(-1)).toBe("a finished -");
});

it("goes on when a token is none, and when it cannot be checked", async () => {
  inbox.receive(a, commit);
  inbox.receive(a, forward);
  inbox.receive(a, commit);
  inbox.receive(a, finished);
  await answer(0, undefined);
  expect(dealt).toEqual(["a commit -", "a forward -"]);
  checks[1]?.reject(new Error("no keys"));
  await answer(1, undefined);
  expect(dealt).toEqual(["a commit -", "a forward -", "a commit -", "a finished -"]);
});

it("[HAND-12] throws away what is left of a link that has ended, the token that is being checked included", async () => {
  inbox.receive(a, commit);
  inbox.receive(a, forward);
  inbox.forget("a");
  inbox.receive(a, finished);
  await answer(0, claims);
  expect(dealt).toEqual(["a finished -"]);
});

it("[HAND-12] ends the link rather than leave something out: when too much waits, by number or by bytes", () => {
  inbox.receive(a, commit);
  expect(() => {
    for (let count = 0; count <= 65_536; count += 1) inbox.receive(a, finished);
  }).toThrow(/too much waits/);
  inbox.receive(c, commit);
  const body = new Uint8Array(1024 * 1024);
  const big: PeerMessage = { type: "forward", id: "h", playerId: "p", index: 1, item: { kind: "output", body } };
  expect(() => {
    for (let count = 0; count <= 64; count += 1) inbox.receive(c, big);
  }).toThrow(/too much waits/);
});

it("[HAND-12] deals nothing behind a message that fails, and ends the link with the next one", async () => {
  const failing = new PeerInbox({
    verify: async () => claims,
    deal: (_from, { type }) => {
      dealt.push(type);
      if (type === "forward") throw new Error("it does not fit");
    },
  });
  failing.receive(a, commit);
  failing.receive(a, forward);
  failing.receive(a, finished);
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
  expect(dealt).toEqual(["commit", "forward"]);
  expect(() => failing.receive(a, finished)).toThrow("it does not fit");
  failing.forget("a");
  failing.receive(a, finished);
  expect(dealt).toEqual(["commit", "forward", "finished"]);
});

it("[HAND-12] deals nothing of a link that ends while its waiting messages are dealt", async () => {
  const ending = new PeerInbox({
    verify: async () => claims,
    deal: (from, { type }) => {
      dealt.push(type);
      // As when the answer to it cannot be sent: the link is too slow.
      if (type === "forward") ending.forget(from.clusterId);
    },
  });
  ending.receive(a, commit);
  for (let count = 0; count < 3; count += 1) ending.receive(a, forward);
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
  expect(dealt).toEqual(["commit", "forward"]);
  ending.receive(a, finished);
  expect(dealt).toEqual(["commit", "forward", "finished"]);
});

it("[HAND-12] does not hold against the next link what failed when the one before had ended", async () => {
  const ending = new PeerInbox({
    verify: async () => claims,
    deal: (from, { type }) => {
      if (type !== "forward") return void dealt.push(type);
      ending.forget(from.clusterId);
      throw new Error("the link has ended");
    },
  });
  ending.receive(a, commit);
  ending.receive(a, forward);
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
  ending.receive(a, finished);
  expect(dealt).toEqual(["commit", "finished"]);
});
