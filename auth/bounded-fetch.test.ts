import { describe, expect, it } from "vitest";
import { type Fetch, fetchBounded } from "./bounded-fetch.ts";

const url = "https://service.example/";
const bounds = { timeoutMs: 5_000, maxBytes: 8 };

/** A body of pieces that come one after the other; without an end when `open`. */
function stream(pieces: readonly string[], open = false): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      if (!open) controller.close();
    },
  });
}

function answering(response: Response): Fetch {
  return async () => response;
}

describe("fetchBounded", () => {
  it("hands on status, headers and body", async () => {
    const fetch = answering(new Response(stream(["1234", "5678"]), { status: 429, headers: { "Retry-After": "7" } }));
    const response = await fetchBounded(fetch, url, {}, bounds);
    expect([response.status, response.headers.get("Retry-After")]).toEqual([429, "7"]);
    expect(await response.text()).toBe("12345678");
  });

  it("takes an answer without a body", async () => {
    const response = await fetchBounded(answering(new Response(null, { status: 204 })), url, {}, bounds);
    expect([response.status, await response.text()]).toEqual([204, ""]);
  });

  it("[SEC-9] refuses one byte too many, also from a server that never ends", async () => {
    await expect(fetchBounded(answering(new Response("123456789")), url, {}, bounds)).rejects.toThrow(RangeError);
    const endless = new Response(stream(["12345678", "9"], true));
    await expect(fetchBounded(answering(endless), url, {}, bounds)).rejects.toThrow(RangeError);
  });

  it("[SEC-9] gives up when no answer comes in time", async () => {
    const silent: Fetch = async (_, init) =>
      new Promise((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    const error = await fetchBounded(silent, url, {}, { ...bounds, timeoutMs: 10 }).catch((error: unknown) => error);
    expect(error).toMatchObject({ name: "TimeoutError" });
  });

  it("[SEC-9] gives up when the answer does not end in time", async () => {
    const dripping: Fetch = async () => new Response(stream(["1234"], true));
    const error = await fetchBounded(dripping, url, {}, { ...bounds, timeoutMs: 10 }).catch((error: unknown) => error);
    expect(error).toMatchObject({ name: "TimeoutError" });
  });

  it("[SEC-9] does not follow redirects, which would carry keys elsewhere", async () => {
    const modes: unknown[] = [];
    const fetch: Fetch = async (_, init) => {
      modes.push(init?.redirect);
      return new Response(null, { status: 302, headers: { Location: "https://evil.example/" } });
    };
    expect((await fetchBounded(fetch, url, {}, bounds)).status).toBe(302);
    expect(modes).toEqual(["manual"]);
  });
});
