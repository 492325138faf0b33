import type { Fetch } from "../bounded-fetch.ts";

/** A request as it reached the script. */
export interface SentRequest {
  /** `POST /auth/v1/token?grant_type=password`. */
  readonly route: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: unknown;
}

export type Responder = (request: SentRequest) => Response | Promise<Response>;

/**
 * A `fetch` that answers by route: method, path and query; a route without a query stands for all. A list is answered one by
 * one, its last for ever. What has no answer is an error of the test.
 */
export function scriptFetch(script: Readonly<Record<string, Responder | readonly Responder[]>>): {
  readonly fetch: Fetch;
  readonly requests: SentRequest[];
} {
  const requests: SentRequest[] = [];
  const asked = new Map<string, number>();
  const answer = async (input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]): Promise<Response> => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const path = `${request.method} ${url.pathname}`;
    const text = await request.clone().text();
    const route = path + url.search;
    const sent: SentRequest = {
      route,
      url,
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
    requests.push(sent);
    const known = Object.hasOwn(script, route) ? route : path;
    const answers = Object.hasOwn(script, known) ? script[known] : undefined;
    if (answers === undefined) throw new TypeError(`the script has no ${route}`);
    if (typeof answers === "function") return answers(sent);
    const index = asked.get(known) ?? 0;
    asked.set(known, index + 1);
    const responder = answers[Math.min(index, answers.length - 1)];
    if (responder === undefined) throw new TypeError(`the script has no answer to ${route}`);
    return responder(sent);
  };
  const fetch: Fetch = async (input, init) => {
    const aborted = new Promise<never>((_, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
    aborted.catch(() => {});
    return Promise.race([answer(input, init), aborted]);
  };
  return { fetch, requests };
}

/** An error as GoTrue words it since its API version 2024-01-01. It repeats what errors of ours must not. */
export function refusal(status: number, code: string): Responder {
  return () =>
    Response.json(
      { code, message: `About ada@example.com: ${code}` },
      { status, headers: { "x-supabase-api-version": "2024-01-01" } },
    );
}

/** A 200 with this JSON. */
export function reply(body: unknown): Responder {
  return () => Response.json(body);
}

/** A user as GoTrue describes one. */
export function describeTestUser(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: "1f9c6f3a-93f5-4f0c-8a55-0d3d2d1f0a01",
    aud: "authenticated",
    role: "authenticated",
    email: "ada@example.com",
    app_metadata: { provider: "email" },
    user_metadata: { display_name: "Ada" },
    is_anonymous: false,
    ...changes,
  };
}

/** A session as GoTrue gives one. */
export function describeTestSession(user: Readonly<Record<string, unknown>> = describeTestUser()) {
  return {
    access_token: "aaaa.bbbb.cccc",
    token_type: "bearer",
    expires_in: 3_600,
    expires_at: 1_800_003_600,
    refresh_token: "refresh-1",
    user,
  };
}
