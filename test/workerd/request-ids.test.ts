import { decodeJwt } from "jose";
import { describe, expect, it, vi } from "vitest";
import type { Allocation } from "../../protocol/index.ts";
import { startCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logIn } from "./support/players.ts";

describe("the name of a request", () => {
  it("[TICKET-12] is in the answer, in the log, and in the ticket that the request was for", async () => {
    const lines = vi.spyOn(console, "info");
    const cluster = await startCluster();
    const { accessToken: token } = await logIn();
    const key = crypto.randomUUID();
    const allocate = (name: string) =>
      call("POST", "/v1/allocate", {
        token,
        body: { clusterId: cluster.id },
        headers: { "idempotency-key": key, "x-request-id": name },
      });
    const answer = await allocate("of-the-client.1");
    expect(answer.headers.get("x-request-id")).toBe("of-the-client.1");
    const { ticket, reservationId } = await expectJson<Allocation>(answer, 200);
    expect(decodeJwt(ticket)["req"]).toBe("of-the-client.1");
    const logged = lines.mock.calls.map(([line]) => String(line)).find((line) => line.includes("of-the-client.1"));
    expect(JSON.parse(logged ?? "{}")).toMatchObject({
      event: "http.request",
      reservation: reservationId,
      status: 200,
    });
    // A retry is another request for the same ticket.
    const again = await allocate("of-the-client.2");
    expect(again.headers.get("x-request-id")).toBe("of-the-client.2");
    expect((await expectJson<Allocation>(again, 200)).ticket).toBe(ticket);
    lines.mockRestore();
  });

  it.each(["short", "with spaces in it", "x".repeat(65), "<script>alert(1)</script>"])(
    "is the master's own when the client's is none: %j",
    async (name) => {
      const response = await call("GET", "/v1/me", { headers: { "x-request-id": name } });
      expect(response.headers.get("x-request-id")).toMatch(/^[\da-f-]{36}$/);
      await expectProblem(response, "UNAUTHENTICATED");
    },
  );
});
