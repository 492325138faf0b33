import { describe, expect, it } from "vitest";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { localError, SustenetError } from "./error.ts";
import { PlayerTokens } from "./player-tokens.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { sampleTokens } from "./testing/scripted-master.ts";
import { nextUncaughtError } from "./testing/uncaught-error.ts";

interface Setup {
  readonly clock: ManualClock;
  readonly tokens: PlayerTokens;
  readonly changes: (string | undefined)[];
  /** The refreshes that wait for their end. */
  readonly asked: { refreshToken: string; answer: PromiseWithResolvers<PlayerSessionTokens> }[];
  readonly issue: (name: string, lifetimeMs?: number) => PlayerSessionTokens;
}

function setUp(): Setup {
  const clock = new ManualClock();
  const changes: (string | undefined)[] = [];
  const asked: Setup["asked"] = [];
  const tokens = new PlayerTokens({
    clock,
    refresh: (refreshToken) => {
      const answer = Promise.withResolvers<PlayerSessionTokens>();
      asked.push({ refreshToken, answer });
      return answer.promise;
    },
    onChange: (changed) => changes.push(changed?.accessToken),
  });
  const issue = (name: string, lifetimeMs = 3_600_000): PlayerSessionTokens =>
    sampleTokens(name, { expiresAt: (clock.wallMs() + lifetimeMs) / 1_000 });
  return { clock, tokens, changes, asked, issue };
}

const refused = new SustenetError("REFRESH_TOKEN_INVALID", { origin: "master", advice: "login", detail: "used" });

describe("PlayerTokens", () => {
  it("needs a login", async () => {
    const { tokens } = setUp();
    await expect(tokens.accessToken()).rejects.toMatchObject({ code: "NOT_LOGGED_IN", advice: "login" });
    await expect(tokens.refresh()).rejects.toMatchObject({ code: "NOT_LOGGED_IN" });
  });

  it("refreshes from a minute before expiry on, not sooner", async () => {
    const { clock, tokens, asked, issue } = setUp();
    tokens.set(issue("1"));
    await clock.advance(3_540_000 - 1);
    await expect(tokens.accessToken()).resolves.toBe("access-1");
    await clock.advance(1);
    const next = tokens.accessToken();
    expect(asked.map((one) => one.refreshToken)).toEqual(["refresh-1"]);
    asked[0]?.answer.resolve(issue("2"));
    await expect(next).resolves.toBe("access-2");
    await expect(tokens.accessToken()).resolves.toBe("access-2");
    expect(asked).toHaveLength(1);
  });

  it("shares one refresh among all who need it, and makes another later", async () => {
    const { tokens, asked, changes, issue } = setUp();
    tokens.set(issue("1"));
    const waiting = [tokens.refresh(), tokens.refresh(), tokens.replaceAccessToken("access-1")];
    expect(asked).toHaveLength(1);
    asked[0]?.answer.resolve(issue("2"));
    await Promise.all(waiting);
    expect(changes).toEqual(["access-1", "access-2"]);
    void tokens.refresh();
    expect(asked.map((one) => one.refreshToken)).toEqual(["refresh-1", "refresh-2"]);
  });

  it("does not refresh for a token that was replaced already", async () => {
    const { tokens, asked, issue } = setUp();
    tokens.set(issue("2"));
    await expect(tokens.replaceAccessToken("access-1")).resolves.toBe("access-2");
    expect(asked).toHaveLength(0);
  });

  it("logs out when the refresh token is refused, and keeps the tokens when the master is away", async () => {
    const { clock, tokens, asked, changes, issue } = setUp();
    tokens.set(issue("1"));
    const first = tokens.refresh();
    asked[0]?.answer.reject(localError("NETWORK"));
    await expect(first).rejects.toMatchObject({ code: "NETWORK" });
    expect(tokens.current?.accessToken).toBe("access-1");

    await clock.advance(3_600_000);
    const second = tokens.accessToken();
    asked[1]?.answer.reject(refused);
    await expect(second).rejects.toMatchObject({ code: "REFRESH_TOKEN_INVALID" });
    expect(tokens.current).toBeUndefined();
    expect(changes).toEqual(["access-1", undefined]);
  });

  it("uses a token that is still good when the master is away, until it expires", async () => {
    const { clock, tokens, asked, issue } = setUp();
    tokens.set(issue("1"));
    await clock.advance(3_599_999);
    const good = tokens.accessToken();
    asked[0]?.answer.reject(localError("TIMEOUT"));
    await expect(good).resolves.toBe("access-1");
    await clock.advance(1);
    const expired = tokens.accessToken();
    asked[1]?.answer.reject(localError("TIMEOUT"));
    await expect(expired).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  it("lets a login that came meanwhile stand", async () => {
    const { tokens, asked, issue } = setUp();
    tokens.set(issue("1"));
    const old = tokens.refresh();
    tokens.set(issue("other"));
    const newer = tokens.refresh();
    asked[0]?.answer.resolve(issue("2"));
    await old;
    expect(tokens.current?.accessToken).toBe("access-other");
    asked[1]?.answer.reject(localError("NETWORK"));
    await expect(newer).rejects.toMatchObject({ code: "NETWORK" });
    expect(tokens.current?.accessToken).toBe("access-other");
  });

  it("lets a logout that came meanwhile stand, even where the refresh is refused", async () => {
    const { tokens, asked, changes, issue } = setUp();
    tokens.set(issue("1"));
    const old = tokens.refresh();
    tokens.set(undefined);
    asked[0]?.answer.reject(refused);
    await expect(old).rejects.toMatchObject({ code: "REFRESH_TOKEN_INVALID" });
    expect(changes).toEqual(["access-1", undefined]);
  });

  it("refreshes a short token at half its life", async () => {
    const { clock, tokens, asked, issue } = setUp();
    tokens.set(issue("1", 20_000));
    await clock.advance(9_999);
    await expect(tokens.accessToken()).resolves.toBe("access-1");
    await clock.advance(1);
    void tokens.accessToken();
    expect(asked).toHaveLength(1);
  });

  it("does not refresh before each call where its own clock is far ahead", async () => {
    const { tokens, asked, issue } = setUp();
    tokens.set(issue("1", -1));
    await expect(tokens.accessToken()).resolves.toBe("access-1");
    expect(asked).toHaveLength(0);
  });

  it("refreshes tokens from an earlier run that have expired since, and tells of the new ones alone", async () => {
    const { tokens, asked, changes, issue } = setUp();
    tokens.restore(issue("old", -1_000));
    const next = tokens.accessToken();
    asked[0]?.answer.resolve(issue("new"));
    await expect(next).resolves.toBe("access-new");
    expect(changes).toEqual(["access-new"]);
  });

  it("keeps a listener's error from looking like a refresh that failed", async () => {
    const clock = new ManualClock();
    const onChange = (): void => {
      throw new RangeError("a bug of the game");
    };
    const tokens = new PlayerTokens({ clock, refresh: async () => sampleTokens("2"), onChange });
    tokens.restore(sampleTokens("1"));
    const uncaught = nextUncaughtError();
    await expect(tokens.refresh()).resolves.toMatchObject({ accessToken: "access-2" });
    await expect(uncaught).resolves.toBeInstanceOf(RangeError);
  });
});
