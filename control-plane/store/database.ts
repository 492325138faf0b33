import { createClient } from "@libsql/client/web";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { drizzle } from "drizzle-orm/libsql/web";

/** Where the database is. */
export interface DatabaseAddress {
  /** `libsql://…`, `https://…`, or `http://…` on this machine. */
  readonly url: string;
  readonly authToken: string;
}

export type Database = LibSQLDatabase;

/** The database could not be asked, or did not answer in time. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
}

const defaultTimeoutMs = 5_000;

/**
 * Runs `work` with a client of its own: in a Worker, a client that outlives its request hangs later ones.
 *
 * @throws DatabaseError when the database is away, or refuses what was asked
 */
export async function withDatabase<T>(
  address: DatabaseAddress,
  work: (database: Database) => Promise<T>,
  timeoutMs = defaultTimeoutMs,
): Promise<T> {
  const signal = AbortSignal.timeout(timeoutMs);
  const client = createClient({
    // Plain HTTP requests: no WebSocket to keep open between them.
    url: address.url.replace(/^libsql:/, "https:"),
    authToken: address.authToken,
    fetch: async (input: Request | string | URL, init?: RequestInit) => fetch(input, { ...init, signal }),
  });
  try {
    return await work(drizzle({ client }));
  } catch (error) {
    const where = isAway(error) ? ` at ${new URL(address.url).host} cannot be reached` : " did not do as it was asked";
    throw new DatabaseError(`the database${where}`, { cause: error });
  } finally {
    client.close();
  }
}

/** Whether no answer came at all: `fetch` failed, or its time was over. Drivers wrap that, more than once. */
function isAway(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 6; cause = cause.cause, depth += 1) {
    if (cause.name === "TimeoutError" || cause.message === "fetch failed") return true;
  }
  return false;
}
