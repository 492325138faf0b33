import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import { z } from "zod";
import { cipher } from "../contenders/contender.ts";

/** How a Colyseus player comes to its seat. */
export const seatWays = ["pooled", "fresh", "reserved", "sdk"] as const;

export type SeatWay = (typeof seatWays)[number];

/** What the load is told about the server that it plays with. */
export const endpointSchema = z.object({
  wire: z.enum(["raw", "websocket", "colyseus", "colyseus-world", "sustenet"]),
  encrypted: z.boolean(),
  port: z.number(),
  serverName: z.string(),
  caPem: z.string(),
  /** Size of every message of the game, without what the wire adds. */
  payloadBytes: z.number(),
  seats: z.enum(seatWays),
  /** What join tickets say, and the private key that signs them. */
  tickets: z.object({
    issuer: z.string(),
    clusterId: z.string(),
    game: z.string(),
    boot: z.number(),
    kid: z.string(),
    privateJwk: z.record(z.string(), z.string()),
  }),
});

export type Endpoint = z.infer<typeof endpointSchema>;

/** Opens connections to one server; every TLS handshake is a full one, with the certificate verified. */
export class Dialler {
  readonly #endpoint: Endpoint;
  readonly #secureContext: SecureContext;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#secureContext = createSecureContext({ ca: endpoint.caPem, ciphers: cipher, minVersion: "TLSv1.3" });
  }

  /** Resolves with a socket over which bytes may go, and rejects when there is none. */
  dial(): Promise<Socket> {
    const { port, encrypted, serverName } = this.#endpoint;
    const address = { port, host: "127.0.0.1" };
    return new Promise((resolve, reject) => {
      const socket = encrypted
        ? connectTls({ ...address, servername: serverName, secureContext: this.#secureContext })
        : connectTcp(address);
      socket.setNoDelay(true);
      socket.once("error", reject);
      socket.once(encrypted ? "secureConnect" : "connect", () => {
        socket.off("error", reject);
        resolve(socket);
      });
    });
  }
}
