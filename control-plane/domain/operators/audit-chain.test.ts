import { describe, expect, it } from "vitest";
import {
  AuditChainCheck,
  type AuditHead,
  type AuditRow,
  type AuditVerdict,
  canonicalJson,
  canonicalRow,
  firstPreviousHash,
  hashAuditRow,
} from "./audit-chain.ts";

async function chain(length: number): Promise<AuditRow[]> {
  const rows: AuditRow[] = [];
  for (let sequence = 1; sequence <= length; sequence += 1) {
    const isIntent = sequence % 2 === 1;
    const row = {
      sequence,
      atMs: 1_000 + sequence,
      actor: "operator-1",
      action: "cluster.lock",
      target: "cluster:default.x",
      details: canonicalJson({ reason: `because ${sequence}` }),
      requestId: `request-${sequence}`,
      outcome: isIntent ? ("intended" as const) : ("done" as const),
      intent: isIntent ? null : sequence - 1,
      previousHash: rows.at(-1)?.hash ?? firstPreviousHash,
    };
    rows.push({ ...row, hash: await hashAuditRow(row) });
  }
  return rows;
}

async function check(rows: readonly AuditRow[], head?: AuditHead): Promise<AuditVerdict> {
  const checked = new AuditChainCheck();
  for (const row of rows) await checked.add(row);
  return checked.verdict(head);
}

describe("the chain", () => {
  it("holds as it was written, and names intents without an outcome", async () => {
    const rows = await chain(5);
    expect(await check(rows)).toEqual({ ok: true, head: { sequence: 5, hash: rows[4]?.hash }, open: [5] });
    expect(await check([])).toMatchObject({ ok: true, head: { sequence: 0 } });
  });

  it("[SEC-46] has hashes that cover all of a row, the hash of the row before as well", async () => {
    const [row] = await chain(1);
    if (row === undefined) throw new Error("no row");
    const { hash, ...rest } = row;
    const others = Object.keys(rest).map((field) => Object.assign({}, row, { [field]: "another" }));
    const hashes = await Promise.all([row, ...others].map(hashAuditRow));
    expect(hashes[0]).toBe(hash);
    expect(new Set(hashes).size).toBe(1 + 10);
  });

  it.each([
    ["atMs", 7],
    ["actor", "somebody-else"],
    ["action", "cluster.unlock"],
    ["target", "cluster:default.y"],
    ["details", '{"reason":"because 4"}'],
    ["requestId", "another-request"],
    ["outcome", "done"],
    ["intent", 1],
    ["previousHash", "ab".repeat(32)],
    ["hash", "cd".repeat(32)],
  ])("[SEC-46] breaks at the row whose %s was changed", async (field, value) => {
    const rows = await chain(6);
    const tampered = rows.with(2, Object.assign({}, rows[2], { [field]: value }));
    expect(await check(tampered)).toMatchObject({ ok: false, sequence: 3, sound: 2 });
  });

  it("[SEC-46] breaks at the row after one that was changed and hashed anew", async () => {
    const rows = await chain(6);
    const [, , third] = rows;
    if (third === undefined) throw new Error("there are six");
    const forged = { ...third, actor: "somebody-else" };
    const hash = await hashAuditRow(forged);
    const tampered = rows.with(2, { ...forged, hash });
    expect(await check(tampered)).toMatchObject({ ok: false, sequence: 4 });
  });

  it("[SEC-46] breaks where a row is missing, in the middle and, against the writer's head, at the end", async () => {
    const rows = await chain(6);
    const head = { sequence: 6, hash: rows[5]?.hash ?? "" };
    expect(await check(rows.filter((row) => row.sequence !== 3))).toMatchObject({ ok: false, sequence: 3 });
    expect(await check(rows.slice(1))).toMatchObject({ ok: false, sequence: 1 });
    expect(await check(rows.slice(0, 5), head)).toMatchObject({ ok: false, sequence: 6 });
    expect(await check(rows, head)).toMatchObject({ ok: true });
    expect(await check(rows, { sequence: 6, hash: "ef".repeat(32) })).toMatchObject({ ok: false, sequence: 6 });
  });

  it("breaks where a row comes twice", async () => {
    const [first, second] = await chain(2);
    if (first === undefined || second === undefined) throw new Error("there are two");
    expect(await check([first, second, second])).toMatchObject({ ok: false, sequence: 2 });
  });
});

describe("the canonical form", () => {
  it("does not depend on the order of details", () => {
    expect(canonicalJson({ b: 1, a: undefined, c: ["x"] })).toBe('{"b":1,"c":["x"]}');
    expect(canonicalJson({ c: ["x"], b: 1 })).toBe('{"b":1,"c":["x"]}');
  });

  it("keeps fields apart", async () => {
    const [row] = await chain(1);
    if (row === undefined) throw new Error("there is one");
    const one = canonicalRow({ ...row, actor: 'a","b', action: "c" });
    const other = canonicalRow({ ...row, actor: "a", action: 'b","c' });
    expect(one).not.toBe(other);
  });
});
