import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SupabaseAuth, type SupabaseAuthOptions, startSupabaseAuth } from "./server.ts";
import { ManualClock, connectAuth } from "./test-client.ts";

const credentials = { email: "ada@example.com", password: "correct horse" };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "supabase-auth-"));
});

afterAll(() => rm(folder, { recursive: true }));

async function withServer(
  options: Partial<SupabaseAuthOptions>,
  use: (server: SupabaseAuth) => Promise<void>,
): Promise<void> {
  const server = await startSupabaseAuth({ publishableKey: "public", ...options });
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

describe("state", () => {
  it("is there again after a restart: accounts, sessions and the signing key", async () => {
    const file = join(folder, "new", "auth.db");
    let accessToken = "";
    let refreshToken = "";
    let url = "";
    await withServer({ file }, async (server) => {
      const { data } = await connectAuth(server).signUp(credentials);
      accessToken = data.session?.access_token ?? "";
      refreshToken = data.session?.refresh_token ?? "";
      ({ url } = server);
    });
    expect((await stat(file)).mode & 0o077).toBe(0);
    await withServer({ file, port: Number(new URL(url).port) }, async (server) => {
      expect(server.url).toBe(url);
      expect((await connectAuth(server).getUser(accessToken)).data.user?.email).toBe(credentials.email);
      expect((await connectAuth(server).getClaims(accessToken)).error).toBeNull();
      expect((await connectAuth(server).refreshSession({ refresh_token: refreshToken })).error).toBeNull();
      expect((await connectAuth(server).signInWithPassword(credentials)).error).toBeNull();
      expect((await connectAuth(server).signUp(credentials)).error?.code).toBe("user_already_exists");
    });
  });

  it("lives as long as the server where no file is given, and closing twice does no harm", async () => {
    const server = await startSupabaseAuth({ publishableKey: "public" });
    await connectAuth(server).signUp(credentials);
    await server.close();
    await server.close();
    await withServer({}, async (next) => {
      expect((await connectAuth(next).signUp(credentials)).error).toBeNull();
    });
  });

  it("of another project does not fit: its tokens are foreign", async () => {
    await withServer({}, async (one) => {
      await withServer({}, async (two) => {
        const { data } = await connectAuth(one).signInAnonymously();
        const { error } = await connectAuth(two).getUser(data.session?.access_token ?? "");
        expect(error).toMatchObject({ status: 403, code: "bad_jwt" });
      });
    });
  });
});

describe("requests at the same time", () => {
  it("make one account for one address", async () => {
    await withServer({}, async (server) => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => connectAuth(server).signUp(credentials)));
      expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
      expect(answers.filter(({ error }) => error?.code === "user_already_exists")).toHaveLength(7);
    });
  });

  it("sign many players in", async () => {
    await withServer({}, async (server) => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          connectAuth(server).signUp({ ...credentials, email: `player-${index}@example.com` }),
        ),
      );
      const ids = new Set(answers.map(({ data }) => data.user?.id));
      expect(answers.every(({ error }) => error === null)).toBe(true);
      expect(ids.size).toBe(50);
    });
  });
});

describe("settings", () => {
  it("turn sign-ups off, for everyone who is new", async () => {
    const file = join(folder, "closed.db");
    await withServer({ file }, async (server) => {
      await connectAuth(server).signUp(credentials);
    });
    await withServer({ file, signupDisabled: true }, async (server) => {
      const closed = { status: 422, code: "signup_disabled" };
      const newcomer = { ...credentials, email: "new@example.com" };
      expect((await connectAuth(server).signUp(newcomer)).error).toMatchObject(closed);
      expect((await connectAuth(server).signInAnonymously()).error).toMatchObject(closed);
      expect((await connectAuth(server).signInWithPassword(credentials)).error).toBeNull();
    });
  });

  it("turn anonymous players off, and only those", async () => {
    await withServer({ anonymousDisabled: true }, async (server) => {
      expect((await connectAuth(server).signInAnonymously()).error).toMatchObject({
        status: 422,
        code: "anonymous_provider_disabled",
      });
      expect((await connectAuth(server).signUp(credentials)).error).toBeNull();
      const settings = await fetch(`${server.url}/auth/v1/settings?apikey=public`);
      expect(await settings.json()).toMatchObject({ external: { anonymous_users: false, email: true } });
    });
  });

  it("bound the length of a password from both sides", async () => {
    await withServer({ minPasswordLength: 10 }, async (server) => {
      const signUp = async (password: string): Promise<string | undefined> =>
        (await connectAuth(server).signUp({ email: `a${password.length}@example.com`, password })).error?.code;
      expect(await signUp("x".repeat(9))).toBe("weak_password");
      expect(await signUp("x".repeat(10))).toBeUndefined();
      expect(await signUp("x".repeat(72))).toBeUndefined();
      expect(await signUp("x".repeat(73))).toBe("validation_failed");
    });
  });
});

describe("rate limits", () => {
  const rateLimits = { tokensPerFiveMinutes: 3, signUpsPerFiveMinutes: 2, anonymousSignUpsPerHour: 1 };
  const limited = { status: 429, code: "over_request_rate_limit" };

  it("hold by kind, and ease with time", async () => {
    const clock = new ManualClock();
    await withServer({ rateLimits, clock: clock.now }, async (server) => {
      const auth = connectAuth(server);
      await auth.signUp(credentials);
      await auth.signUp(credentials);
      expect((await auth.signUp(credentials)).error).toMatchObject(limited);
      for (let attempt = 0; attempt < 3; attempt += 1) {
        expect((await auth.signInWithPassword(credentials)).error).toBeNull();
      }
      expect((await auth.signInWithPassword(credentials)).error).toMatchObject(limited);
      expect((await connectAuth(server).signInAnonymously()).error).toBeNull();
      expect((await connectAuth(server).signInAnonymously()).error).toMatchObject(limited);
      clock.advanceSeconds(100);
      expect((await auth.signInWithPassword(credentials)).error).toBeNull();
      expect((await auth.signInWithPassword(credentials)).error).toMatchObject(limited);
    });
  });

  it("count by the address that a holder of the secret key forwards, and only by that", async () => {
    const secretKey = "sb_secret_test";
    await withServer({ rateLimits, secretKey }, async (server) => {
      const anonymous = async (apikey: string, address: string): Promise<number> => {
        const headers = { apikey, "sb-forwarded-for": address };
        const answer = await fetch(`${server.url}/auth/v1/signup`, { method: "POST", headers, body: "{}" });
        return answer.status;
      };
      expect(await anonymous(secretKey, "203.0.113.1")).toBe(200);
      expect(await anonymous(secretKey, "203.0.113.1")).toBe(429);
      expect(await anonymous(secretKey, "203.0.113.2")).toBe(200);
      expect(await anonymous("public", "203.0.113.3")).toBe(200);
      expect(await anonymous("public", "203.0.113.4")).toBe(429);
    });
  });
});

describe("startSupabaseAuth", () => {
  it("says in one line that the port is taken", async () => {
    await withServer({}, async (server) => {
      const port = Number(new URL(server.url).port);
      await expect(startSupabaseAuth({ publishableKey: "public", port })).rejects.toThrow(
        `the local Supabase Auth cannot listen on 127.0.0.1:${port}: the port is taken.`,
      );
    });
  });

  it("says which file it cannot open", async () => {
    const opening = startSupabaseAuth({ publishableKey: "public", file: folder });
    await expect(opening).rejects.toThrow(`the local Supabase Auth cannot open its state ${folder}`);
  });
});
