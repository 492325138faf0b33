import { describe, expect, it } from "vitest";
import { errorOfAnswer, parseAllocation, parseClusters, parseRetryAfter, parseTokens } from "./answers.ts";

const tokens = {
  accessToken: "a",
  refreshToken: "r",
  expiresAt: 1_800_000_000,
  player: { id: "p", email: "ada@example.com", anonymous: false, displayName: "Ada" },
};

const allocation = {
  ticket: "aaa.bbb.ccc",
  reservationId: "r1",
  expiresAt: 1_800_000_000,
  cluster: {
    id: "c1",
    name: "Europe 1",
    host: "eu1.example.com",
    port: 6257,
    tls: {
      serverName: "c1.invalid",
      caPem: "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
      sha256: "0".repeat(64),
    },
  },
};

const listing = {
  id: "c1",
  name: "Europe 1",
  region: "eu",
  players: 3,
  capacity: 0,
  locked: false,
  tags: ["pvp"],
  ping: { host: "eu1.example.com", port: 6257 },
};

describe("good answers", () => {
  it("are taken, without what is not known", () => {
    expect(parseTokens({ ...tokens, later: 1 })).toEqual(tokens);
    expect(parseAllocation({ ...allocation, later: 1 })).toEqual(allocation);
    expect(parseClusters({ clusters: [{ ...listing, later: 1 }], later: 1 })).toEqual([listing]);
    expect(parseClusters({ clusters: [] })).toEqual([]);
  });

  it("may leave an e-mail address or a WebSocket address out", () => {
    const anonymous = { ...tokens, player: { ...tokens.player, email: null, anonymous: true } };
    expect(parseTokens(anonymous)).toEqual(anonymous);
    const wss = { ...allocation, cluster: { ...allocation.cluster, wssUrl: "wss://eu1.example.com" } };
    expect(parseAllocation(wss)).toEqual(wss);
  });
});

describe("bad answers", () => {
  it.each([undefined, null, [], "text", 5])("refuses %o, which is no object", (value) => {
    for (const parse of [parseTokens, parseAllocation, parseClusters]) {
      expect(() => parse(value)).toThrow(expect.objectContaining({ code: "BAD_ANSWER" }));
    }
  });

  it.each([
    [{ accessToken: 5 }, "accessToken"],
    [{ refreshToken: "" }, "refreshToken"],
    [{ expiresAt: "soon" }, "expiresAt"],
    [{ player: null }, "player"],
    [{ player: { ...tokens.player, anonymous: "no" } }, "player.anonymous"],
    [{ player: { ...tokens.player, email: 5 } }, "player.email"],
  ])("names the field of tokens that is wrong: %o", (wrong, field) => {
    expect(() => parseTokens({ ...tokens, ...wrong })).toThrow(new RegExp(`BAD_ANSWER: ${field} is`));
  });

  it.each([
    [{ ticket: "" }, "ticket"],
    [{ ticket: "t".repeat(2_049) }, "ticket"],
    [{ ticket: "a b" }, "ticket"],
    [{ cluster: withCluster({ port: 0 }) }, "cluster.port"],
    [{ cluster: withCluster({ port: 65_536 }) }, "cluster.port"],
    [{ cluster: withCluster({ port: 6257.5 }) }, "cluster.port"],
    [{ cluster: withCluster({ host: "" }) }, "cluster.host"],
    [{ cluster: withTls({ caPem: "" }) }, "cluster.tls.caPem"],
    [{ cluster: withTls({ caPem: "no certificate" }) }, "cluster.tls.caPem"],
    [{ cluster: withTls({ sha256: "0".repeat(63) }) }, "cluster.tls.sha256"],
    [{ cluster: withTls({ sha256: "A".repeat(64) }) }, "cluster.tls.sha256"],
    [{ cluster: withTls({ serverName: undefined }) }, "cluster.tls.serverName"],
  ])("names the field of an allocation that is wrong: %o", (wrong, field) => {
    expect(() => parseAllocation({ ...allocation, ...wrong })).toThrow(new RegExp(`BAD_ANSWER: ${field} is`));
  });

  it.each([
    [{ clusters: {} }, "clusters"],
    [{ clusters: [null] }, "clusters\\[0\\]"],
    [{ clusters: [listing, { ...listing, tags: [5] }] }, "clusters\\[1\\].tags"],
    [{ clusters: [{ ...listing, ping: { host: "h", port: -1 } }] }, "clusters\\[0\\].ping.port"],
  ])("names the field of a list that is wrong: %o", (wrong, field) => {
    expect(() => parseClusters(wrong)).toThrow(new RegExp(`BAD_ANSWER: ${field} is`));
  });

  it("are not quoted in the error", () => {
    expect(() => parseTokens({ ...tokens, accessToken: { secret: "s3cret" } })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("s3cret") }),
    );
  });
});

describe("errors of answers", () => {
  it("carry what a problem says", () => {
    const error = errorOfAnswer(
      422,
      {
        type: "about:blank",
        title: "A field of the request is not valid.",
        status: 422,
        code: "INVALID_FIELD",
        detail: "email is not an address",
        requestId: "req-7",
        errors: [{ field: "email", message: "expected an address" }, { field: 5 }, null],
      },
      undefined,
    );
    expect(error).toMatchObject({
      code: "INVALID_FIELD",
      origin: "master",
      advice: "fix",
      status: 422,
      detail: "email is not an address",
      requestId: "req-7",
      retryAfterMs: 0,
      fields: [{ field: "email", message: "expected an address" }],
    });
  });

  it("prefer the problem's wait to the header's", () => {
    const problem = { code: "RATE_LIMITED", retryAfterSeconds: 3 };
    expect(errorOfAnswer(429, problem, 9_000).retryAfterMs).toBe(3_000);
    expect(errorOfAnswer(429, { code: "RATE_LIMITED" }, 9_000).retryAfterMs).toBe(9_000);
    expect(errorOfAnswer(429, { ...problem, retryAfterSeconds: -1 }, undefined).retryAfterMs).toBe(0);
  });

  it.each([
    [503, "retry"],
    [429, "retry"],
    [401, "login"],
    [400, "stop"],
  ])("take the advice for a code of a later version from the status %d: %s", (status, advice) => {
    const error = errorOfAnswer(status, { code: "toString", detail: "new" }, undefined);
    expect(error).toMatchObject({ code: "UNKNOWN_CODE", advice, status });
  });

  it.each([
    [502, "<html>Bad Gateway</html>", "retry"],
    [404, undefined, "stop"],
    [500, { code: 5 }, "retry"],
  ])("of something that is not the master: %d", (status, value, advice) => {
    expect(errorOfAnswer(status, value, undefined)).toMatchObject({ code: "BAD_ANSWER", advice, status });
  });

  it("cut a text that would flood a log", () => {
    expect(errorOfAnswer(500, { code: "INTERNAL", detail: "x".repeat(10_000) }, undefined).detail).toHaveLength(500);
  });
});

describe("Retry-After", () => {
  it("is seconds or a date", () => {
    const wallMs = Date.parse("2026-11-22T10:00:00Z");
    expect(parseRetryAfter("7", wallMs)).toBe(7_000);
    expect(parseRetryAfter("Sun, 22 Nov 2026 10:00:30 GMT", wallMs)).toBe(30_000);
    expect(parseRetryAfter("Sun, 22 Nov 2026 09:00:00 GMT", wallMs)).toBe(0);
    expect(parseRetryAfter("soon", wallMs)).toBeUndefined();
    expect(parseRetryAfter(null, wallMs)).toBeUndefined();
  });
});

function withCluster(changes: object): object {
  return { ...allocation.cluster, ...changes };
}

function withTls(changes: object): object {
  return withCluster({ tls: { ...allocation.cluster.tls, ...changes } });
}
