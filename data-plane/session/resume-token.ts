import { hash as digest, randomFillSync, timingSafeEqual } from "node:crypto";

/** Player number, then the secret. */
const numberBytes = 4;
const secretBytes = 16;

/** The number that a token claims to be of; `undefined` when it is none of ours. */
export function playerNumberOf(token: Uint8Array): number | undefined {
  if (token.length !== numberBytes + secretBytes) return undefined;
  return new DataView(token.buffer, token.byteOffset).getUint32(0, true);
}

/**
 * The token by which one player may come back. Only its hash is kept. A new one takes its place with each resume; the one
 * that was used stays good until the client shows that it has the new one. [RESUME-4]
 */
export class ResumeTokens {
  readonly #playerNumber: number;
  #current: string | undefined;
  #used: string | undefined;

  constructor(playerNumber: number) {
    this.#playerNumber = playerNumber;
  }

  /** A new token, 128 bits of it random. The one before it is good no longer. */
  issue(): Uint8Array {
    const token = new Uint8Array(numberBytes + secretBytes);
    new DataView(token.buffer).setUint32(0, this.#playerNumber, true);
    randomFillSync(token, numberBytes);
    this.#current = hash(token);
    return token;
  }

  /** Whether the token is good; then it has been used. */
  use(token: Uint8Array): boolean {
    const given = hash(token);
    const isCurrent = this.#current !== undefined && isSame(given, this.#current);
    const isUsed = this.#used !== undefined && isSame(given, this.#used);
    if (!isCurrent && !isUsed) return false;
    this.#used = given;
    return true;
  }

  /** The client has the newest token. */
  confirm(): void {
    this.#used = undefined;
  }
}

/** As text: one small object, where bytes would be three and some memory of their own. */
function hash(token: Uint8Array): string {
  return digest("sha256", token, "base64");
}

/** In a time that does not tell how far they are. */
function isSame(given: string, kept: string): boolean {
  return timingSafeEqual(Buffer.from(given), Buffer.from(kept));
}
