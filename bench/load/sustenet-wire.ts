import { randomBytes } from "node:crypto";
import { importJWK, type CryptoKey } from "jose";
import { type SigningKey, signTicket } from "../../auth/ticket.ts";
import { allFeatures, encodeClose, encodeHello, encodeJoin, encodeMessage, versions } from "../../protocol/index.ts";
import { Dialler, type Endpoint } from "./endpoint.ts";
import { attendMs, SustenetLink } from "./sustenet-link.ts";
import type { Wire } from "./wire.ts";

/** Command of the game's messages. */
const command = 1;

/** How long a ticket of the load may lie before it is used, in seconds. */
const ticketLifetimeSeconds = 240;

const hello = encodeHello({
  minVersion: versions.min,
  maxVersion: versions.max,
  features: allFeatures,
  client: "bench",
});

/** The game protocol, with tickets that were signed beforehand: that is the master's work, not the cluster's. */
export function createSustenetWire(endpoint: Endpoint): Wire {
  const dialler = new Dialler(endpoint);
  const greetings: Buffer[] = [];
  let signingKey: Promise<SigningKey> | undefined;
  return {
    prepare: async (count) => {
      signingKey ??= importSigningKey(endpoint);
      while (greetings.length < count) {
        const ticket = await createTicket(endpoint, await signingKey);
        greetings.push(Buffer.concat([hello, encodeJoin({ ticket })]));
      }
    },
    join: async () => {
      const greeting = greetings.pop();
      if (greeting === undefined) throw new Error("no ticket was prepared");
      const socket = await dialler.dial();
      const link = new SustenetLink(socket);
      socket.write(greeting);
      await link.joined;
      return link;
    },
    message: (payload) => Buffer.from(encodeMessage({ command, payload })),
    step: (player, side) => {
      if (player instanceof SustenetLink) player.step(side);
    },
    attendMs,
    attend: (player) => {
      if (player instanceof SustenetLink) player.attend();
    },
    goodbye: encodeClose("NORMAL"),
  };
}

async function importSigningKey({ tickets }: Endpoint): Promise<SigningKey> {
  const key = await importJWK(tickets.privateJwk, "ES256");
  if (!isCryptoKey(key)) throw new Error("the signing key is not a key pair's");
  return { kid: tickets.kid, key };
}

function isCryptoKey(key: CryptoKey | Uint8Array): key is CryptoKey {
  return !(key instanceof Uint8Array);
}

/** A ticket of a player that has never been seen. */
function createTicket({ tickets }: Endpoint, signingKey: SigningKey): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const id = randomBytes(16).toString("base64url");
  return signTicket(
    {
      iss: tickets.issuer,
      aud: tickets.clusterId,
      sub: `player-${id}`,
      jti: id,
      iat: now,
      nbf: now,
      exp: now + ticketLifetimeSeconds,
      game: tickets.game,
      proto: { min: versions.min, max: versions.max },
      boot: tickets.boot,
      gen: 1,
      rsv: `seat-${id}`,
      frag: "",
      name: "Player",
    },
    signingKey,
  );
}
