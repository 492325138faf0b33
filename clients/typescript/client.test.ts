/** How accounts, tokens and allocations go, against a master that speaks real HTTP, and does what each test says. */
import { describe, expect, it, vi } from "vitest";
import { createClient, type PlayerSessionTokens } from "./index.ts";
import { useScriptedGame } from "./testing/scripted-game.ts";
import { type Answer, problem, sampleAllocation, sampleTokens } from "./testing/scripted-master.ts";

const { startMaster, startCluster, setUp } = useScriptedGame();

describe("options", () => {
  it.each([
    "https://master.example.com",
    "https://master.example.com/ignored/path",
    "http://localhost:6256",
    "http://127.0.0.1:6256",
    "http://127.9.9.9",
    "http://[::1]:6256",
  ])("take the master's URL %s", (masterUrl) => {
    expect(createClient({ masterUrl }).player).toBeUndefined();
  });

  it.each([
    "http://master.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://10.0.0.1",
    "ftp://localhost",
    "master.example.com",
    "",
  ])("[SEC-83] refuse the master's URL %j: passwords would go in the clear", (masterUrl) => {
    expect(() => createClient({ masterUrl })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it("refuse a queue that a single message would overfill", () => {
    const masterUrl = "https://master.example.com";
    expect(() => createClient({ masterUrl, maxQueuedBytes: 65_535 })).toThrow(/maxQueuedBytes/);
    expect(() => createClient({ masterUrl, maxQueuedBytes: Number.NaN })).toThrow(/maxQueuedBytes/);
    expect(createClient({ masterUrl, maxQueuedBytes: 65_536 }).tokens).toBeUndefined();
  });
});

describe("accounts", () => {
  it("sign up, log in, refresh and log out", async () => {
    const told: (string | undefined)[] = [];
    const master = await startMaster(({ route }) => {
      if (route === "POST /v1/logout") return { status: 204 };
      return { status: 200, body: sampleTokens(route.split("/").at(-1) ?? "") };
    });
    const client = createClient({ masterUrl: master.url, onTokens: (tokens) => told.push(tokens?.accessToken) });
    const account = { email: "ada@example.com", password: "correct horse", displayName: "Ada" };
    await expect(client.signUp(account)).resolves.toMatchObject({ id: "player-1", displayName: "Ada" });
    await client.login({ email: account.email, password: account.password });
    await client.refresh();
    expect(client.player).toMatchObject({ id: "player-1" });
    expect(client.tokens?.accessToken).toBe("access-refresh");
    await client.logout();
    expect(client.player).toBeUndefined();
    await client.logout();

    expect(told).toEqual(["access-signup", "access-login", "access-refresh", undefined]);
    expect(master.seen.map(({ route, body }) => ({ route, body }))).toEqual([
      { route: "POST /v1/signup", body: account },
      { route: "POST /v1/login", body: { email: account.email, password: account.password } },
      { route: "POST /v1/refresh", body: { refreshToken: "refresh-login" } },
      { route: "POST /v1/logout", body: undefined },
    ]);
    expect(master.seen.map(({ headers }) => headers["authorization"])).toEqual([
      undefined,
      undefined,
      undefined,
      "Bearer access-refresh",
    ]);
  });

  it("say that a new account waits for its e-mail address to be confirmed", async () => {
    const master = await startMaster(() => ({ status: 202, body: { status: "confirmation-required" } }));
    const client = createClient({ masterUrl: master.url });
    await expect(client.signUp({ email: "ada@example.com", password: "correct horse" })).resolves.toBeUndefined();
    expect(client.tokens).toBeUndefined();
  });

  it.each(["INVALID_CREDENTIALS", "EMAIL_NOT_CONFIRMED", "WEAK_PASSWORD", "ACCOUNT_EXISTS"] as const)(
    "say %s as the master says it, and log nobody in",
    async (code) => {
      const master = await startMaster(() => problem(code));
      const client = createClient({ masterUrl: master.url });
      await expect(client.login({ email: "a@example.com", password: "hunter2" })).rejects.toMatchObject({
        name: "SustenetError",
        code,
        origin: "master",
        requestId: "req-1",
        message: expect.not.stringContaining("hunter2"),
      });
      expect(client.player).toBeUndefined();
      await expect(client.allocate()).rejects.toMatchObject({ code: "NOT_LOGGED_IN" });
      expect(master.seen).toHaveLength(1);
    },
  );

  it("forget the tokens even where the logout does not reach the master", async () => {
    const master = await startMaster(({ route }) =>
      route === "POST /v1/logout" ? "drop" : { status: 200, body: sampleTokens("1") },
    );
    const client = createClient({ masterUrl: master.url });
    await client.login({ anonymous: true });
    await expect(client.logout()).rejects.toMatchObject({ code: "NETWORK" });
    expect(client.tokens).toBeUndefined();
  });

  it("leave who logs in while the one before is still logged out logged in", async () => {
    const refreshed = Promise.withResolvers<Answer>();
    const expired: PlayerSessionTokens = sampleTokens("old", { expiresAt: Math.floor(Date.now() / 1_000) - 10 });
    const master = await startMaster(({ route }) => {
      if (route === "POST /v1/refresh") return refreshed.promise;
      return route === "POST /v1/logout" ? { status: 204 } : { status: 200, body: sampleTokens("next") };
    });
    const told: (string | undefined)[] = [];
    const onTokens = (tokens?: PlayerSessionTokens): void => void told.push(tokens?.accessToken);
    const client = createClient({ masterUrl: master.url, tokens: expired, onTokens });
    const loggedOut = client.logout();
    expect(client.tokens).toBeUndefined();
    await client.login({ anonymous: true });
    refreshed.resolve({ status: 200, body: sampleTokens("new") });
    await loggedOut;
    expect(client.tokens?.accessToken).toBe("access-next");
    expect(told).toEqual([undefined, "access-next"]);
    expect(master.of("POST /v1/logout").map(({ headers }) => headers["authorization"])).toEqual(["Bearer access-new"]);
  });

  it("end the session also where the master refuses the token, as one that our clock takes for good", async () => {
    const master = await startMaster(({ route }, index) => {
      if (route === "POST /v1/logout") return index === 0 ? problem("UNAUTHENTICATED") : { status: 204 };
      return { status: 200, body: sampleTokens(route.split("/").at(-1) ?? "") };
    });
    const client = createClient({ masterUrl: master.url });
    await client.login({ anonymous: true });
    await client.logout();
    expect(master.seen.map(({ route, headers: { authorization } }) => [route, authorization])).toEqual([
      ["POST /v1/login", undefined],
      ["POST /v1/logout", "Bearer access-login"],
      ["POST /v1/refresh", undefined],
      ["POST /v1/logout", "Bearer access-refresh"],
    ]);
    expect(client.tokens).toBeUndefined();
  });
});

describe("tokens", () => {
  const seat = { reservationId: "r" };
  const release = "DELETE /v1/allocate/r";

  it("from an earlier run are used, and refreshed once for all calls that need it", async () => {
    const expired: PlayerSessionTokens = sampleTokens("old", { expiresAt: Math.floor(Date.now() / 1_000) - 10 });
    const master = await startMaster(({ route }) =>
      route === "POST /v1/refresh" ? { status: 200, body: sampleTokens("new") } : { status: 204 },
    );
    const client = createClient({ masterUrl: master.url, tokens: expired });
    expect(client.player?.displayName).toBe("Ada");
    await Promise.all([client.release(seat), client.release(seat), client.release(seat)]);
    expect(master.of("POST /v1/refresh").map(({ body }) => body)).toEqual([{ refreshToken: "refresh-old" }]);
    expect(master.of(release).map(({ headers }) => headers["authorization"])).toEqual(
      Array(3).fill("Bearer access-new"),
    );
  });

  it("that the master refuses are replaced once", async () => {
    const master = await startMaster(({ route, headers }) => {
      if (route === "POST /v1/refresh") return { status: 200, body: sampleTokens("new") };
      if (route === "POST /v1/login") return { status: 200, body: sampleTokens("old") };
      return headers["authorization"] === "Bearer access-new" ? { status: 204 } : problem("UNAUTHENTICATED");
    });
    const client = createClient({ masterUrl: master.url });
    await client.login({ anonymous: true });
    await Promise.all([client.release(seat), client.release(seat)]);
    expect(master.of("POST /v1/refresh")).toHaveLength(1);
  });

  it("that the master keeps refusing are not refreshed for ever", async () => {
    const master = await startMaster(({ route }) =>
      route === release ? problem("UNAUTHENTICATED") : { status: 200, body: sampleTokens("same") },
    );
    const client = createClient({ masterUrl: master.url });
    await client.login({ anonymous: true });
    await expect(client.release(seat)).rejects.toMatchObject({ code: "UNAUTHENTICATED", advice: "login" });
    expect(master.of(release)).toHaveLength(2);
    expect(master.of("POST /v1/refresh")).toHaveLength(1);
  });

  it("whose refresh is refused log the player out", async () => {
    const onTokens = vi.fn<(tokens: unknown) => void>();
    const master = await startMaster(() => problem("REFRESH_TOKEN_INVALID"));
    const tokens = sampleTokens("old", { expiresAt: 1 });
    const client = createClient({ masterUrl: master.url, tokens, onTokens });
    await expect(client.release(seat)).rejects.toMatchObject({ code: "REFRESH_TOKEN_INVALID", advice: "login" });
    expect(onTokens).toHaveBeenCalledExactlyOnceWith(undefined);
    await expect(client.allocate()).rejects.toMatchObject({ code: "NOT_LOGGED_IN" });
  });
});

describe("the list of clusters", () => {
  it("needs no login, sends no token, and can be of one region", async () => {
    const listing = {
      id: "eu.1",
      name: "Frankfurt 1",
      region: "eu",
      players: 12,
      capacity: 100,
      locked: false,
      tags: ["pve"],
      ping: { host: "fra1.example.com", port: 6257 },
    };
    const master = await startMaster(() => ({ status: 200, body: { clusters: [listing] } }));
    const client = createClient({ masterUrl: master.url, tokens: sampleTokens("1") });
    await expect(client.clusters()).resolves.toEqual([listing]);
    await client.clusters({ region: "a&b" });
    expect(master.seen.map(({ route }) => route)).toEqual(["GET /v1/clusters", "GET /v1/clusters?region=a%26b"]);
    expect(master.seen.map(({ headers }) => headers["authorization"])).toEqual([undefined, undefined]);
  });
});

describe("calls to the master", () => {
  it.each<[string, Answer, string]>([
    ["a page that is no JSON", { status: 200, body: "<html>" }, "BAD_ANSWER"],
    ["JSON of another shape", { status: 200, body: { clusters: 5 } }, "BAD_ANSWER"],
    ["an empty page", { status: 200 }, "BAD_ANSWER"],
    ["a broken connection", "drop", "NETWORK"],
    ["a redirect", { status: 307, headers: { location: "/v1/elsewhere" } }, "NETWORK"],
    ["a proxy's error page", { status: 502, body: "<html>" }, "BAD_ANSWER"],
    ["a code of a later version", { status: 418, body: { code: "TEAPOT", detail: "short and stout" } }, "UNKNOWN_CODE"],
    ["an answer without an end in sight", { status: 200, body: `"${"x".repeat(4 * 1024 * 1024)}"` }, "BAD_ANSWER"],
  ])("say what is wrong with %s", async (_, answer, code) => {
    const master = await startMaster(() => answer);
    await expect(createClient({ masterUrl: master.url }).clusters()).rejects.toMatchObject({ code });
    expect(master.seen).toHaveLength(1);
  });

  it("name the master that cannot be reached", async () => {
    const gone = await startMaster(() => "silence");
    await gone.close();
    const call = createClient({ masterUrl: gone.url }).clusters();
    await expect(call).rejects.toMatchObject({
      code: "NETWORK",
      detail: `The master at ${gone.url} cannot be reached.`,
    });
  });

  it("end at their deadline, and when they are called off", async () => {
    const master = await startMaster(() => "silence");
    const hasty = createClient({ masterUrl: master.url, deadlines: { httpMs: 50 } });
    await expect(hasty.clusters()).rejects.toMatchObject({ code: "TIMEOUT", advice: "retry" });
    const abort = new AbortController();
    const calling = createClient({ masterUrl: master.url }).clusters({ signal: abort.signal });
    abort.abort();
    await expect(calling).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("go through the fetch that was given", async () => {
    const urls: string[] = [];
    const client = createClient({
      masterUrl: "https://master.example.com/",
      fetch: async (url, init) => {
        urls.push(`${init.method} ${url}`);
        return Response.json({ clusters: [] });
      },
    });
    await expect(client.clusters()).resolves.toEqual([]);
    expect(urls).toEqual(["GET https://master.example.com/v1/clusters"]);
  });
});

it("says what is needed where Node or the browser is too old", () => {
  const original: unknown = Reflect.get(Promise, "withResolvers");
  try {
    Reflect.set(Promise, "withResolvers", undefined);
    expect(() => createClient({ masterUrl: "https://master.example.com" })).toThrow("Node 22.12 or newer");
  } finally {
    Reflect.set(Promise, "withResolvers", original);
  }
});

describe("allocate", () => {
  it("repeats itself with the same key after a lost reply, and gets the same ticket", async () => {
    const cluster = await startCluster(() => undefined);
    const { client, master } = await setUp((_, index) => {
      if (index === 0) return "drop";
      if (index === 1) return problem("ALLOCATION_IN_PROGRESS");
      return { status: 200, body: sampleAllocation(cluster.address) };
    });
    const allocation = await client.allocate({ region: "eu" });
    expect(allocation).toEqual({ ...sampleAllocation(cluster.address), request: { region: "eu" } });
    const seen = master.of("POST /v1/allocate");
    expect(seen).toHaveLength(3);
    expect(new Set(seen.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
    expect(seen[0]?.headers["idempotency-key"]).toMatch(/^[\w-]{8,128}$/);
    expect(seen.map(({ body }) => body)).toEqual([{ region: "eu" }, { region: "eu" }, { region: "eu" }]);
  });

  it("takes a new key for each call", async () => {
    const cluster = await startCluster(() => undefined);
    const { client, master } = await setUp(() => ({ status: 200, body: sampleAllocation(cluster.address) }));
    await client.allocate();
    await client.allocate();
    const keys = master.of("POST /v1/allocate").map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(2);
  });

  it("gives a seat back", async () => {
    const { client, master } = await setUp(() => problem("INTERNAL"));
    await client.release({ reservationId: "a/b" });
    expect(master.seen.at(-1)).toMatchObject({ route: "DELETE /v1/allocate/a%2Fb", body: undefined });
    expect(master.seen.at(-1)?.headers["authorization"]).toBe("Bearer access-1");
  });
});
