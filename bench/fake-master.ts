import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { WebSocketServer } from "ws";
import { z } from "zod";
import type { LinkAck, RegisterResponse } from "../protocol/index.ts";
import { listen } from "./contenders/listen.ts";

/** What a join ticket for the newest cluster has to say, and the key that signs it. */
export interface TicketSource {
  readonly issuer: string;
  readonly clusterId: string;
  readonly game: string;
  readonly boot: number;
  readonly kid: string;
  readonly privateJwk: Readonly<Record<string, string>>;
}

/**
 * As much of a master as a cluster needs to run: it registers whoever asks, acknowledges every report, and its key set is
 * the one that the load signs tickets with. The real one works elsewhere and costs the cluster the same.
 */
export interface FakeMaster {
  readonly url: string;
  /** For tickets of the cluster that registered last. */
  readonly tickets: TicketSource;
  close(): void;
}

const identity = { clusterId: "bench", game: "bench", kid: "bench" } as const;
const reportIntervalMs = 10_000;
const reportSchema = z.object({ type: z.literal("report"), sequence: z.number() });
const jwkSchema = z.object({ kty: z.string(), crv: z.string(), x: z.string(), y: z.string(), d: z.string() });

export async function startFakeMaster(): Promise<FakeMaster> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const privateJwk = jwkSchema.parse(await exportJWK(privateKey));
  const { kty, crv, x, y } = privateJwk;
  const jwks = { keys: [{ kty, crv, x, y, kid: identity.kid, alg: "ES256", use: "sig" }] };
  let boot = 0;
  let issuer = "";
  const server = createServer((request, response) => {
    const path = `${request.method} ${request.url}`;
    if (path === "POST /v1/clusters/register") {
      boot += 1;
      const body: RegisterResponse = {
        clusterId: identity.clusterId,
        game: identity.game,
        boot,
        sessionToken: "bench",
        issuer,
        leaseMs: 60_000,
        pingIntervalMs: 10_000,
        reportIntervalMs,
        jwks,
      };
      answer(request, response, body);
    } else if (path === "GET /.well-known/jwks.json") answer(request, response, jwks);
    else answer(request, response, {});
  });
  const links = new WebSocketServer({ server });
  links.on("connection", (link) => {
    link.on("message", (data) => {
      const text = data instanceof Buffer ? data.toString() : "";
      if (text === "ping") {
        link.send("pong");
        return;
      }
      const { sequence } = reportSchema.parse(JSON.parse(text));
      link.send(JSON.stringify({ type: "ack", sequence, reportIntervalMs } satisfies LinkAck));
    });
  });
  issuer = `http://127.0.0.1:${await listen(server)}`;
  return {
    url: issuer,
    get tickets() {
      return { issuer, boot, privateJwk, ...identity };
    },
    close: () => {
      for (const link of links.clients) link.terminate();
      server.closeAllConnections();
      server.close();
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, body: object): void {
  request.resume();
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}
