import { createHash, timingSafeEqual } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import Database from "libsql";
import { type ConnectionLimits, EngineConnection } from "./connection.ts";
import { ProtocolFault, StreamExpired, TooManyStreams } from "./fault.ts";
import { parsePipeline } from "./hrana.ts";
import { type HttpReply, type HttpRequest, startHttpListener } from "./http-listener.ts";
import { runPipeline } from "./pipeline.ts";
import { type StreamLimits, Streams } from "./streams.ts";
import { WriteQueue } from "./write-queue.ts";

export interface LibsqlServerLimits extends StreamLimits, ConnectionLimits {
  readonly maxBodyBytes: number;
}

export interface LibsqlServerOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /** Path of the database; the folder is made if need be. */
  readonly file: string;
  /** When set, each request must carry it as `Authorization: Bearer`. */
  readonly authToken?: string;
  /** Defaults are those of the real server where it has them: 10 s for a stream, 5 s for a transaction. */
  readonly limits?: Partial<LibsqlServerLimits>;
}

export interface LibsqlServer {
  /** For `createClient({ url })`, and as `TURSO_DATABASE_URL`. */
  readonly url: string;
  close(): Promise<void>;
}

const defaultLimits: LibsqlServerLimits = {
  maxBodyBytes: 10_485_760,
  maxResponseBytes: 10_485_760,
  maxStreams: 256,
  streamIdleMs: 10_000,
  transactionMs: 5_000,
  lockWaitMs: 5_000,
};

/**
 * Serves a database file over the libSQL HTTP protocol (Hrana over HTTP, versions 2 and 3, JSON), as a Turso database
 * does, for development and tests. The engine is synchronous: a query that computes for long stops the others
 * meanwhile.
 * @throws Error that says what is wrong with the file, the address or the port
 */
export async function startLibsqlServer(options: LibsqlServerOptions): Promise<LibsqlServer> {
  const limits = { ...defaultLimits, ...options.limits };
  await prepareFile(options.file);
  const queue = new WriteQueue();
  const streams = new Streams(() => new EngineConnection(options.file, queue, limits), limits);
  const listener = await startHttpListener({
    name: "the local libSQL server",
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    maxBodyBytes: limits.maxBodyBytes,
    handle: (request) => route(request, streams, options.authToken),
    tooLarge: () => text(413, "The request body is too large"),
    failed: failureReply,
  });
  return {
    url: listener.url,
    close: async () => {
      await listener.close();
      streams.dispose();
    },
  };
}

/** Write-ahead logging lets readers go on while one writes. */
async function prepareFile(file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    const db = new Database(file);
    try {
      db.exec("PRAGMA journal_mode = WAL");
    } finally {
      db.close();
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown error";
    throw new Error(`the local libSQL server cannot open the database ${file}: ${reason}`, { cause });
  }
}

async function route(request: HttpRequest, streams: Streams, authToken: string | undefined): Promise<HttpReply> {
  const path = request.url.pathname;
  const read = request.method === "GET" || request.method === "HEAD";
  if (path === "/health" && read) return text(200, "OK");
  const version = path.startsWith("/v3") ? 3 : 2;
  if ((path === "/v2" || path === "/v3") && read) {
    return text(200, `Hello, this is HTTP API v${version} (Hrana over HTTP)`);
  }
  if (path !== "/v2/pipeline" && path !== "/v3/pipeline") return text(404, "Not found");
  if (request.method !== "POST") return text(405, "Use POST", { allow: "POST" });
  if (authToken !== undefined && !isAuthorized(request.headers.authorization, authToken)) {
    return json(401, { error: "Unauthorized: the auth token is missing or wrong" }, { "www-authenticate": "Bearer" });
  }
  // A page on the web could otherwise post SQL to a developer's machine: this type makes its browser ask first.
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    return text(415, "Content-Type must be application/json");
  }
  return json(200, await runPipeline(streams, parsePipeline(request.body), version, request.signal));
}

function isAuthorized(header: string | undefined, authToken: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
  return given !== undefined && timingSafeEqual(sha256(given), sha256(authToken));
}

function sha256(value: string): Buffer {
  return createHash("sha256").update(value).digest();
}

function failureReply(cause: unknown): HttpReply {
  if (cause instanceof ProtocolFault) return text(400, cause.message);
  if (cause instanceof StreamExpired) return json(500, { message: cause.message, code: cause.code });
  if (cause instanceof TooManyStreams) return text(503, cause.message);
  const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  process.stderr.write(`local libSQL server: ${reason}\n`);
  return json(500, { message: "Internal server error", code: "INTERNAL_ERROR" });
}

function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): HttpReply {
  return { status, headers: { "content-type": "text/plain", ...headers }, body };
}

function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): HttpReply {
  return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
}
