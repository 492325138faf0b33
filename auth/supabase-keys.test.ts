import { exportJWK, generateKeyPair, type JWK } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import type { Fetch } from "./bounded-fetch.ts";
import { createSupabaseKeySet, supabaseIssuer } from "./supabase-keys.ts";

const url = "https://project.supabase.co";
let jwk: JWK;

beforeAll(async () => {
  const { publicKey } = await generateKeyPair("ES256", { extractable: true });
  jwk = { ...(await exportJWK(publicKey)), kid: "a", alg: "ES256", use: "sig", key_ops: ["verify"] };
});

function createFixture(respond: () => Response | Promise<Response>) {
  const requests: Request[] = [];
  const clock = { now: 0 };
  const fetch: Fetch = async (input, init) => {
    requests.push(new Request(input, init));
    return respond();
  };
  const keys = createSupabaseKeySet({
    url: `${url}/`,
    publishableKey: "sb_publishable_key",
    now: () => clock.now,
    fetch,
  });
  return { keys, requests, clock };
}

describe("createSupabaseKeySet", () => {
  it("asks the project for its keys, once in 600 s", async () => {
    const { keys, requests, clock } = createFixture(() => Response.json({ keys: [jwk] }));
    expect(await keys.lookup("a")).toMatchObject({ status: "found", alg: "ES256" });
    clock.now = 600_000;
    expect(await keys.lookup("a")).toMatchObject({ status: "found" });
    expect(requests.map((request) => request.url)).toEqual([`${url}/auth/v1/.well-known/jwks.json`]);
    expect(requests[0]?.headers.get("apikey")).toBe("sb_publishable_key");
    clock.now = 600_001;
    await keys.lookup("a");
    expect(requests).toHaveLength(2);
  });

  it.each<[string, () => Response | Promise<Response>]>([
    ["no connection", () => Promise.reject(new TypeError("fetch failed"))],
    ["503", () => new Response(null, { status: 503 })],
    ["a redirect", () => new Response(null, { status: 302, headers: { Location: "https://evil.example/" } })],
    ["HTML", () => new Response("<html>")],
    ["more than 64 KiB", () => Response.json({ keys: [jwk], padding: "x".repeat(65_536) })],
    ["a project with a shared secret only, whose set is empty", () => Response.json({ keys: [] })],
  ])("is unavailable with %s", async (_, respond) => {
    const { keys } = createFixture(respond);
    expect(await keys.lookup("a")).toEqual({ status: "unavailable" });
  });

  it("takes no keys for HS256", async () => {
    const { keys } = createFixture(() =>
      Response.json({ keys: [jwk, { kty: "oct", kid: "h", alg: "HS256", k: "AAAA" }] }),
    );
    expect(await keys.lookup("a")).toMatchObject({ status: "found" });
    expect(await keys.lookup("h")).toEqual({ status: "unknown" });
  });
});

describe("supabaseIssuer", () => {
  it.each([url, `${url}/`, `${url}//`])("of %s", (text) => {
    expect(supabaseIssuer(text)).toBe("https://project.supabase.co/auth/v1");
  });
});
