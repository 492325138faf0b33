import { beforeAll, describe, expect, it } from "vitest";
import { env } from "cloudflare:workers";
import { withDeadline } from "../../control-plane/objects/deadline.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { startCluster } from "./support/clusters.ts";
import { call, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { logIn } from "./support/players.ts";

let operator: PlayerSessionTokens;

beforeAll(async () => {
  operator = await logInOperator();
});

/** A reader of the stream. */
class Watcher {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next event that `wanted` is true of: its id and its kind. */
  async next(wanted: (block: string) => boolean): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        if (wanted(block)) return block;
        continue;
      }
      const { done, value } = await withDeadline(this.#reader.read(), 30_000, "an event");
      if (done) return "(ended)";
      this.#text += value;
    }
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}

async function watch(query = "", headers: Record<string, string> = {}): Promise<Watcher> {
  const response = await call("GET", `/v1/admin/events${query}`, { token: operator.accessToken, headers });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  if (response.body === null) throw new Error("a stream has a body");
  return new Watcher(response.body);
}

const idOf = (block: string) => /^id: (.+)$/m.exec(block)?.[1] ?? "";

describe("the stream of events", () => {
  it("begins after no id that is none", async () => {
    for (const id of ["%00", "a%0Ab", "%E8%AA%9E", "A".repeat(33)]) {
      const response = await call("GET", `/v1/admin/events?after=${id}`, { token: operator.accessToken });
      const { errors } = await expectProblem(response, "INVALID_FIELD");
      expect(errors?.map(({ field }) => field)).toEqual(["query.after"]);
    }
  });

  it("is for operators", async () => {
    await expectProblem(await call("GET", "/v1/admin/events"), "UNAUTHENTICATED");
    const { accessToken: token } = await logIn();
    await expectProblem(await call("GET", "/v1/admin/events", { token }), "FORBIDDEN");
  });

  it("tells of clusters and orders, and goes on after the last event that the reader has", async () => {
    const first = await watch();
    const cluster = await startCluster({ instance: "watched" });
    const registered = await first.next((block) => block.includes(cluster.id));
    expect(registered).toContain("event: cluster.registered");
    await first.close();
    const token = operator.accessToken;
    await call("PUT", `/v1/admin/clusters/${cluster.id}/lock`, { token, body: {} });
    const second = await watch("", { "last-event-id": idOf(registered) });
    const locked = await second.next((block) => block.includes(cluster.id));
    expect(locked).toContain("event: cluster.orders");
    expect(locked).toContain('"locked":true');
    await second.close();
  });

  it("says when events between are lost", async () => {
    const watcher = await watch("?after=elsewhere-1");
    expect(await watcher.next((block) => block.includes("event:"))).toContain("hub.gap");
    await watcher.close();
  });

  it("drops a reader that does not read, with a note, and goes on for others", async () => {
    const response = await env.EVENT_HUB.getByName("slow").fetch("https://hub/events", {
      headers: { "x-until-ms": String(Date.now() + 60_000) },
    });
    const other = await env.EVENT_HUB.getByName("slow").fetch("https://hub/events", {
      headers: { "x-until-ms": String(Date.now() + 60_000) },
    });
    if (response.body === null || other.body === null) throw new Error("a stream has a body");
    const reading = new Watcher(other.body);
    const hub = env.EVENT_HUB.getByName("slow");
    const event = { type: "cluster.state", subject: "cluster:x", data: { text: "x".repeat(2_000) } } as const;
    for (let sent = 0; sent < 600; sent += 100) {
      await hub.publish(Array.from({ length: 100 }, () => event));
      for (let read = 0; read < 100; read += 1) await reading.next((block) => block.includes("cluster.state"));
    }
    const slow = new Watcher(response.body);
    expect(await slow.next((block) => block.includes("hub.slow"))).toContain("Too many events");
    expect(await slow.next(() => true)).toBe("(ended)");
    await reading.close();
  });
});
