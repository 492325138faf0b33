import type { Context } from "hono";
import { count, observe } from "../metrics.ts";
import type { MasterHono } from "./route-parts.ts";

/** Counts an answered request, and what it was about. */
export function countRequest(context: Context<MasterHono>, status: number, ms: number): void {
  const code = context.get("problem");
  count("requests", `${Math.floor(status / 100)}xx`);
  if (code !== undefined) count("problems", code);
  if (context.req.method !== "POST") return;
  switch (context.req.path) {
    case "/v1/allocate":
      count("allocations", code ?? (status === 202 ? "waiting" : "ticket"));
      observe("allocation", ms / 1_000);
      return;
    case "/v1/clusters/register":
      return count("registrations", code ?? "ok");
    case "/v1/signup":
    case "/v1/refresh":
      return count("logins", context.req.path.slice("/v1/".length), code ?? "ok");
    case "/v1/login":
    case "/v1/login/oauth/finish":
      return count("logins", context.get("loginMethod") ?? "unknown", code ?? "ok");
  }
}
