import type { OpenAPIHono } from "@hono/zod-openapi";
import { exposeMetrics } from "../domain/metrics/metric-exposition.ts";
import { sumCounts } from "../domain/metrics/metric-counts.ts";
import { keepCounts } from "../metrics.ts";
import { readMetricsToken } from "../metric-settings.ts";
import { gatherMetrics } from "../objects/metrics/metric-sources.ts";
import { readMasterSettings } from "../settings.ts";
import { bearerOf } from "./identity.ts";
import { ProblemError } from "./problem.ts";
import type { MasterHono } from "./route-parts.ts";

/** However often it is asked, objects are asked only this often by an isolate. */
const freshMs = 5_000;

let cached: { readonly text: string; readonly atMs: number } | undefined;

/** `GET /metrics`, for Prometheus. Not in the OpenAPI document: it is for the operators' own monitoring. */
export function addMetricsRoute(app: OpenAPIHono<MasterHono>): void {
  app.get("/metrics", async (context) => {
    const token = readMetricsToken(context.env);
    if (token === undefined) {
      throw new ProblemError("SWITCHED_OFF", "Metrics are switched off here: METRICS_TOKEN is not set.");
    }
    if (!(await isSame(bearerOf(context) ?? "", token))) {
      throw new ProblemError("UNAUTHENTICATED", "Send METRICS_TOKEN as Authorization: Bearer.");
    }
    readMasterSettings(context.env);
    const nowMs = Date.now();
    if (cached === undefined || nowMs - cached.atMs >= freshMs || nowMs < cached.atMs) {
      await keepCounts();
      const { samples, counts } = await gatherMetrics(context.env, nowMs);
      cached = { text: exposeMetrics(sumCounts(counts), samples), atMs: nowMs };
    }
    return context.body(cached.text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}

/** Takes the same time wherever the two differ, and however long they are. */
async function isSame(given: string, expected: string): Promise<boolean> {
  const [a, b] = await Promise.all([given, expected].map((text) => crypto.subtle.digest("SHA-256", encode(text))));
  return a !== undefined && b !== undefined && crypto.subtle.timingSafeEqual(a, b);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
