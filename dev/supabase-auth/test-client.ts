import { type SupabaseClient, createClient } from "@supabase/supabase-js";
import type { SupabaseAuth } from "./server.ts";

/** supabase-js for a test: it keeps its session in memory and does nothing by itself. */
export function connectAuth(server: SupabaseAuth, apiKey = server.publishableKey): SupabaseClient["auth"] {
  return createClient(server.url, apiKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  }).auth;
}

/** A clock that stands still until it is moved. */
export class ManualClock {
  #now = Date.UTC(2030, 0, 1);
  readonly now = (): number => this.#now;

  advanceSeconds(seconds: number): void {
    this.#now += seconds * 1_000;
  }
}
