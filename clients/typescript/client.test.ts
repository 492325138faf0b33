/** The whole library against a master and a cluster that speak real HTTP and TLS, and do what each test says. */
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  allFeatures,
  encodeClose,
  encodeMessage,
  encodePosition,
  encodeRedirect,
  encodeReject,
  encodeResumeToken,
  encodeStreams,
  encodeWelcome,
} from "../../protocol/index.ts";
import type { ClientOptions } from "./client.ts";
import { createClient, type GameSession, type PlayerSessionTokens, type SustenetClient } from "./index.ts";
import { createTestCertificate } from "./testing/certificate.ts";
import {
  type Peer,
  sampleWelcome,
  type ScriptedCluster,
  serverName,
  startScriptedCluster,
} from "./testing/scripted-cluster.ts";
import {
  type Answer,
  problem,
  sampleAllocation,
  sampleTokens,
  type ScriptedMaster,
  type SeenRequest,
  startScriptedMaster,
} from "./testing/scripted-master.ts";

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function startMaster(...args: Parameters<typeof startScriptedMaster>): Promise<ScriptedMaster> {
  const master = await startScriptedMaster(...args);
  closers.push(() => master.close());
  return master;
}

async function startCluster(...args: Parameters<typeof startScriptedCluster>): Promise<ScriptedCluster> {
  const cluster = await startScriptedCluster(...args);
  closers.push(() => cluster.close());
  return cluster;
}

/** A client that waits for nothing, at a master that logs in and answers allocations as told. */
async function setUp(
  allocate: (request: SeenRequest, index: number) => Answer,
  options: Partial<ClientOptions> = {},
): Promise<{ client: SustenetClient; master: ScriptedMaster }> {
  const master = await startMaster((request, index) => {
    if (request.route === "POST /v1/allocate") return allocate(request, index);
    return { status: 200, body: sampleTokens("1") };
  });
  const client = createClient({ masterUrl: master.url, random: () => 0, ...options });
  await client.login({ anonymous: true });
  return { client, master };
}

/** The same, with a cluster behind it: each allocation leads there. */
async function setUpGame(
  script: (peer: Peer, index: number) => Promise<void> | void,
  options: Partial<ClientOptions> = {},
): Promise<{ client: SustenetClient; master: ScriptedMaster; cluster: ScriptedCluster }> {
  const cluster = await startCluster(script);
  const allocate = (_: SeenRequest, index: number): Answer => ({
    status: 200,
    body: sampleAllocation(cluster.address, `ticket-${index}`),
  });
  return { ...(await setUp(allocate, options)), cluster };
}

function nextEvent<T>(subscribe: (handler: (event: T) => void) => () => void): Promise<T> {
  return new Promise((resolve) => {
    const off = subscribe((event) => {
      off();
      resolve(event);
    });
  });
}

const emptied: object = { attempts: undefined };

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

describe("the game", () => {
  it("is joined, played and left", async () => {
    const { client, cluster, master } = await setUpGame(
      async (peer) => {
        expect(await peer.welcome()).toBe("ticket-0");
        const { command, payload } = await peer.next("message");
        peer.send(encodeMessage({ command: command + 1, payload }));
        const { sequence } = await peer.next("move");
        peer.send(encodePosition({ sequence, x: 9, y: 8, z: 7, heading: 6 }));
        const { code } = await peer.next("close");
        expect(code).toBe(0);
        peer.socket.end();
      },
      { clientName: "reia/1.0" },
    );
    const session = await client.join();
    expect(session.welcome).toMatchObject({ playerNumber: 7, cluster: "Test 1", fragment: "meadow" });
    expect(session.position).toEqual({ x: 1, y: 2, z: 3, heading: 4 });

    const message = nextEvent<{ command: number; payload: Uint8Array }>((handler) => session.on("message", handler));
    expect(session.send(20, Uint8Array.of(1, 2, 3))).toBe(true);
    expect(await message).toEqual({ command: 21, payload: Uint8Array.of(1, 2, 3) });

    const position = nextEvent<{ x: number }>((handler) => session.on("position", handler));
    expect(session.move({ x: 100, y: 0, z: 0, heading: 0 })).toBe(true);
    expect(await position).toEqual({ sequence: 1, x: 9, y: 8, z: 7, heading: 6 });
    expect(session.position.x).toBe(9);

    await session.leave();
    await expect(session.closed).resolves.toMatchObject({ code: "NORMAL", advice: "stop" });
    expect(cluster.faults).toEqual([]);
    expect(cluster.peers[0]?.received[0]).toMatchObject({ type: "hello", client: "reia/1.0" });
    expect(cluster.peers).toHaveLength(1);
    expect(master.of("POST /v1/allocate")).toHaveLength(1);
  });

  it("sends what one turn brought in one piece, and nothing behind CLOSE", async () => {
    const { client, cluster } = await setUpGame(async (peer) => {
      await peer.welcome();
      await peer.next("close");
      peer.socket.end();
    });
    const session = await client.join();
    for (let command = 0; command < 100; command++) session.send(command, new Uint8Array(100));
    await session.leave();
    const [peer] = cluster.peers;
    const types = peer?.received.map((message) => message.type);
    expect(types?.filter((type) => type === "message")).toHaveLength(100);
    expect(types?.at(-1)).toBe("close");
    expect(peer?.reads).toBeLessThan(10);
    expect(cluster.faults).toEqual([]);
  });

  it("can be joined with a ticket that was fetched before, or kept as JSON", async () => {
    const { client, cluster, master } = await setUpGame(async (peer) => void (await peer.welcome()));
    const allocation = await client.allocate({ region: "eu" });
    const copy: typeof allocation = JSON.parse(JSON.stringify(allocation));
    const session = await client.join(copy);
    expect(cluster.peers[0]?.received[1]).toEqual({ type: "join", ticket: "ticket-0" });
    expect(master.of("POST /v1/allocate")).toHaveLength(1);
    await session.leave();
    await expect(client.join({ ...allocation, ticket: "" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("[REJECT-1] [TICKET-6] is joined with a new ticket after STALE_BOOT", async () => {
    const { client, cluster, master } = await setUpGame(async (peer, index) => {
      if (index > 0) return void (await peer.welcome());
      await peer.next("join");
      peer.socket.end(encodeReject("STALE_BOOT"));
    });
    const session = await client.join();
    const tickets = cluster.peers.flatMap((peer) => peer.received.filter(({ type }) => type === "join"));
    expect(tickets).toEqual([
      { type: "join", ticket: "ticket-0" },
      { type: "join", ticket: "ticket-1" },
    ]);
    const keys = master.of("POST /v1/allocate").map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(2);
    await session.leave();
  });

  it("[TLS-3] is not joined where another certificate answers: the ticket stays here", async () => {
    const impostor = await createTestCertificate(serverName);
    const cluster = await startCluster(() => undefined);
    const address = { ...cluster.address, tls: { ...cluster.address.tls, caPem: impostor.certPem } };
    const { client } = await setUp(() => ({ status: 200, body: sampleAllocation(address) }));
    await expect(client.join()).rejects.toMatchObject({ code: "CERTIFICATE_MISMATCH", advice: "stop" });
    await Promise.all(cluster.peers.map((peer) => peer.closed));
    expect(cluster.peers.flatMap((peer) => peer.received)).toEqual([]);
    // Once more, as the master may know of another by now; and then it is over.
    expect(cluster.peers.length).toBeLessThanOrEqual(2);
  });

  it("[TLS-3] [ALLOC-12] is joined elsewhere where another has taken the cluster's port", async () => {
    const gone = await createTestCertificate(serverName);
    const port = await startCluster(() => undefined);
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const stale = { ...port.address, id: "stale", tls: { ...port.address.tls, caPem: gone.certPem } };
    const { client, master } = await setUp(({ body }) => {
      const isTold = JSON.stringify(body).includes("avoid");
      return { status: 200, body: sampleAllocation(isTold ? { ...next.address, id: "cluster-2" } : stale) };
    });
    const session = await client.join();
    expect(session.welcome.cluster).toBe("Test 2");
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([{}, { avoid: ["stale"] }]);
    expect(port.peers.flatMap((peer) => peer.received)).toEqual([]);
    await session.leave();
  });

  it("[TLS-3] is joined anywhere where another has taken the port of the cluster that was chosen", async () => {
    const gone = await createTestCertificate(serverName);
    const port = await startCluster(() => undefined);
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const stale = { ...port.address, id: "stale", tls: { ...port.address.tls, caPem: gone.certPem } };
    const { client, master } = await setUp(({ body }) => {
      const isChosen = JSON.stringify(body).includes("clusterId");
      return { status: 200, body: sampleAllocation(isChosen ? stale : { ...next.address, id: "cluster-2" }) };
    });
    const session = await client.join(await client.allocate({ clusterId: "stale" }));
    expect(session.welcome.cluster).toBe("Test 2");
    const chosen = { clusterId: "stale" };
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([chosen, chosen, { avoid: ["stale"] }]);
    expect(port.peers.flatMap((peer) => peer.received)).toEqual([]);
    await session.leave();
  });

  it("[ALLOC-12] is joined again without a word against the cluster that a lying one has sent it to in vain", async () => {
    const dead = await startCluster(() => undefined);
    await dead.close();
    const { client, cluster, master } = await setUpGame(async (peer, index) => {
      await peer.next("join");
      const welcome = encodeWelcome({ ...sampleWelcome, features: allFeatures });
      const tokenFrame = encodeResumeToken({ graceMs: 5_000, token: Uint8Array.of(1) });
      peer.send(welcome, encodeStreams({ tenure: 2 ** 20 + index, received: 0, fresh: true }), tokenFrame);
      if (index > 0) return;
      const id = "01".repeat(16);
      const innocent = { ...dead.address, id: "innocent" };
      peer.send(encodeRedirect({ id, key: id, boot: 1, cluster: innocent, token: "h.t.s" }));
    });
    const session = await client.join();
    await nextEvent((handler) => session.on("rejoined", handler));
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([{}, {}]);
    expect(cluster.faults).toEqual([]);
    await session.leave();
  });

  it("ends with CONNECTION_LOST where the cluster closes without a word each time", async () => {
    const { client, cluster } = await setUpGame(
      async (peer) => {
        await peer.next("join");
        peer.socket.destroy();
      },
      { rejoin: { attempts: 2, maxDelayMs: 10 } },
    );
    await expect(client.join()).rejects.toMatchObject({ code: "CONNECTION_LOST", advice: "allocate" });
    expect(cluster.peers).toHaveLength(3);
  });

  it("takes an option that is undefined for one that is not there", async () => {
    // As a game without exactOptionalPropertyTypes may write it.
    const unset: object = { httpMs: undefined, allocateMs: undefined, connectMs: undefined, joinMs: undefined };
    const { client } = await setUpGame(
      async (peer) => {
        await peer.next("join");
        peer.socket.destroy();
      },
      { deadlines: unset, rejoin: { ...emptied, maxDelayMs: 10 } },
    );
    await expect(client.join()).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  });

  it("ends with TIMEOUT where the cluster never answers JOIN", async () => {
    const { client, cluster } = await setUpGame(() => undefined, { rejoin: false, deadlines: { joinMs: 100 } });
    await expect(client.join()).rejects.toMatchObject({ code: "TIMEOUT", advice: "retry" });
    await Promise.all(cluster.peers.map((peer) => peer.closed));
    expect(cluster.peers).toHaveLength(1);
  });

  it("[FRAME-5] [FRAME-7] ends with BAD_FRAME where the cluster sends nonsense", async () => {
    const { client, cluster } = await setUpGame(async (peer) => {
      await peer.welcome();
      await peer.next("ping");
      peer.send(Uint8Array.of(1, 0, 0x3f));
    });
    const session = await client.join();
    await expect(session.closed).resolves.toMatchObject({ code: "BAD_FRAME", advice: "stop" });
    await cluster.peers[0]?.closed;
    expect(cluster.peers[0]?.received.at(-1)).toMatchObject({ type: "close", code: 2 });
  });

  it("[ALLOC-12] is joined elsewhere where the cluster cannot be reached: the master is told", async () => {
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const gone = await startCluster(() => undefined);
    await gone.close();
    const { client, master } = await setUp(({ body }) => {
      const isTold = JSON.stringify(body).includes(gone.address.id);
      return { status: 200, body: sampleAllocation(isTold ? { ...next.address, id: "cluster-2" } : gone.address) };
    });
    const session = await client.join();
    expect(session.welcome.cluster).toBe("Test 2");
    const bodies = master.of("POST /v1/allocate").map(({ body }) => body);
    expect(bodies).toEqual([{}, { avoid: [gone.address.id] }]);
    expect((await client.allocate({ region: "eu" })).request).toEqual({ region: "eu" });
    expect(master.of("POST /v1/allocate").at(-1)?.body).toEqual({ region: "eu", avoid: [gone.address.id] });
    await session.leave();
  });

  it("[ALLOC-12] is joined anywhere where the cluster that was chosen stays unreachable", async () => {
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const gone = await startCluster(() => undefined);
    await gone.close();
    const { client, master } = await setUp(({ body }) => {
      const isChosen = JSON.stringify(body).includes("clusterId");
      return { status: 200, body: sampleAllocation(isChosen ? gone.address : { ...next.address, id: "cluster-2" }) };
    });
    const { id } = gone.address;
    const session = await client.join(await client.allocate({ clusterId: id, policy: "load" }));
    expect(session.welcome.cluster).toBe("Test 2");
    const bodies = master.of("POST /v1/allocate").map(({ body }) => body);
    const chosen = { clusterId: id, policy: "load" };
    expect(bodies).toEqual([chosen, chosen, { policy: "load", avoid: [id] }]);
    await session.leave();
  });

  it("[CLOSE-3] goes on elsewhere after CLOSE with SHUTTING_DOWN", async () => {
    const next = await startCluster(async (peer) => void (await peer.welcome({ cluster: "Test 2" })));
    const first = await startCluster(async (peer) => {
      await peer.welcome();
      await peer.next("message");
      peer.socket.end(encodeClose("SHUTTING_DOWN", 50));
    });
    const { client } = await setUp((_, index) => ({
      status: 200,
      body: sampleAllocation((index === 0 ? first : next).address),
    }));
    const session: GameSession = await client.join();
    const rejoining = nextEvent<{ attempt: number }>((handler) => session.on("rejoining", handler));
    const rejoined = nextEvent((handler) => session.on("rejoined", handler));
    session.send(1);
    await expect(rejoining).resolves.toMatchObject({
      attempt: 1,
      reason: { code: "SHUTTING_DOWN", retryAfterMs: 50 },
    });
    await rejoined;
    expect(session.welcome.cluster).toBe("Test 2");
    expect(session.send(2)).toBe(true);
    await session.leave();
    expect(first.faults).toEqual([]);
  });

  it("[PARTY-3] comes back by itself after it came with its party: the seats of that are no longer held", async () => {
    const cluster = await startCluster(async (peer, index) => {
      await peer.welcome();
      if (index > 0) return;
      await peer.next("message");
      peer.socket.end(encodeClose("SHUTTING_DOWN"));
    });
    const { client, master } = await setUp(
      ({ body }, index) => {
        const isClaim = JSON.stringify(body).includes("party");
        return isClaim && index > 0
          ? problem("PARTY_HOLD_ENDED")
          : { status: 200, body: sampleAllocation(cluster.address, `ticket-${index}`) };
      },
      { rejoin: { maxDelayMs: 10 } },
    );
    const session = await client.join(await client.allocate({ party: "p1" }));
    const over = nextEvent<unknown>((handler) => {
      const offs = [session.on("rejoined", () => handler("rejoined")), session.on("close", handler)];
      return () => offs.forEach((off) => off());
    });
    session.send(1);
    expect(await over).toBe("rejoined");
    expect(master.of("POST /v1/allocate").map(({ body }) => body)).toEqual([{ party: "p1" }, {}]);
    await session.leave();
  });

  it.each([
    ["nor for the fragment", "town", undefined],
    ["but for the fragment that it is in", "meadow", "meadow"],
  ])(
    "[ALLOC-14] asks for the cluster that was chosen no more when a handover has taken the player elsewhere, %s",
    async (_what, chosen, asks) => {
      const answer = (peer: Peer, tenure: number, fresh: boolean): void => {
        const welcome = encodeWelcome({ ...sampleWelcome, features: allFeatures });
        const tokenFrame = encodeResumeToken({ graceMs: 5_000, token: Uint8Array.of(1) });
        peer.send(welcome, encodeStreams({ tenure, received: 0, fresh }), tokenFrame);
      };
      const there = await startCluster(async (peer, index) => {
        await peer.next(index === 0 ? "arrive" : "join");
        answer(peer, 2 ** 20 + 1, false);
        if (index > 0) return;
        await peer.next("ack");
        peer.socket.end(encodeClose("SHUTTING_DOWN"));
      });
      const address = { ...there.address, id: "cluster-2" };
      const here = await startCluster(async (peer) => {
        await peer.next("join");
        answer(peer, 2 ** 20, true);
        const id = "01".repeat(16);
        peer.send(encodeRedirect({ id, key: id, boot: 1, cluster: address, token: "h.t.s" }));
      });
      const { client, master } = await setUp((_, index) => ({
        status: 200,
        body: sampleAllocation(index === 0 ? here.address : address),
      }));
      const request = { clusterId: "cluster-1", region: "eu", fragment: chosen };
      const session = await client.join(await client.allocate(request));
      expect(session.welcome.fragment).toBe("meadow");
      const { fresh } = await nextEvent<{ fresh: boolean }>((handler) => session.on("rejoined", handler));
      const asked = master.of("POST /v1/allocate").map(({ body }) => body);
      expect([asked, fresh]).toEqual([
        [request, { region: "eu", ...(asks === undefined ? {} : { fragment: asks }) }],
        false,
      ]);
      await session.leave();
    },
  );

  it("measures the round trip", async () => {
    const { client } = await setUpGame(async (peer) => {
      await peer.welcome();
      const { timeMs } = await peer.next("ping");
      const bytes = new DataView(new ArrayBuffer(19));
      bytes.setUint16(0, 17, true);
      bytes.setUint8(2, 7);
      bytes.setFloat64(3, timeMs, true);
      bytes.setFloat64(11, 5_000, true);
      peer.send(new Uint8Array(bytes.buffer));
    });
    const session = await client.join();
    const { rttMs, serverTimeMs } = await nextEvent<{ rttMs: number; serverTimeMs: number }>((handler) =>
      session.on("latency", handler),
    );
    expect(rttMs).toBeGreaterThan(0);
    expect(session.rttMs).toBe(rttMs);
    expect(serverTimeMs).toBeGreaterThanOrEqual(5_000);
    expect(serverTimeMs).toBeLessThan(10_000);
    await session.leave();
  });

  it("can be called off while it is joined", async () => {
    const abort = new AbortController();
    const { client, cluster } = await setUpGame(async (peer) => {
      await peer.next("join");
      abort.abort();
    });
    await expect(client.join(undefined, { signal: abort.signal })).rejects.toMatchObject({ code: "CLOSED" });
    await cluster.peers[0]?.closed;
    expect(cluster.peers).toHaveLength(1);
  });
});
