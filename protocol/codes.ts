/** What a client does after a code: nothing, or allocate again and join with the new ticket. [CLOSE-3] */
export type CodeAdvice = "stop" | "allocate";

interface CodeRow {
  readonly number: number;
  /** Default text for REJECT and CLOSE: safe to show to any peer. */
  readonly text: string;
}

/** The codes of REJECT and CLOSE. Spec: docs/PROTOCOL.md, section 8; a test holds the two together. */
export const closeCodes = {
  NORMAL: { number: 0x0000, text: "The player left." },
  REPLACED: { number: 0x0001, text: "The same player joined from elsewhere." },
  PROTOCOL_ERROR: { number: 0x0002, text: "The client sent something malformed." },
  VERSION_UNSUPPORTED: { number: 0x0003, text: "No common protocol version: update the game." },
  NOT_ALLOWED: { number: 0x0006, text: "The game does not let this player in." },
  KICKED: { number: 0x0007, text: "An operator has ended this session." },
  BANNED: { number: 0x0008, text: "This account is banned." },
  SIGNED_OUT: { number: 0x0009, text: "This account was signed out everywhere: log in again." },
  SHUTTING_DOWN: { number: 0x0100, text: "This cluster is shutting down: allocate again." },
  IDLE: { number: 0x0101, text: "Nothing was received for too long." },
  SLOW_CONSUMER: { number: 0x0102, text: "The connection could not keep up." },
  INTERNAL: { number: 0x0103, text: "The cluster failed: allocate again later." },
  RATE_LIMITED: { number: 0x0104, text: "The client sent more than its budget: allocate again later." },
  EXPIRED: { number: 0x0110, text: "The ticket has expired: allocate again, and join sooner." },
  NOT_YET_VALID: { number: 0x0111, text: "The ticket is not valid yet: the clocks of master and cluster differ." },
  STALE_BOOT: { number: 0x0112, text: "The cluster restarted after the ticket was issued: allocate again." },
  REPLAYED: { number: 0x0113, text: "The ticket was used before: allocate again." },
  FULL: { number: 0x0114, text: "The cluster is full: allocate again." },
  WRONG_TICKET: { number: 0x0115, text: "The ticket is for another cluster, game or master: allocate again." },
  STALE_GENERATION: { number: 0x0116, text: "A newer ticket of this player has joined." },
  BUSY: { number: 0x0117, text: "The cluster is busy: allocate again later." },
  RESUME_UNKNOWN: { number: 0x0118, text: "There is nothing to resume: allocate again." },
  REVOKED: { number: 0x0119, text: "The master has revoked this ticket: allocate again." },
  ARRIVAL_UNKNOWN: { number: 0x011a, text: "Nobody is expected here under that key: allocate again." },
} as const satisfies Record<string, CodeRow>;

export type CloseCode = keyof typeof closeCodes;

const namesByNumber = new Map<number, CloseCode>();
for (const [name, row] of Object.entries(closeCodes)) {
  if (isCloseCode(name)) namesByNumber.set(row.number, name);
}

/** The name of a code, or `undefined` for one of a later version. */
export function closeCodeName(number: number): CloseCode | undefined {
  return namesByNumber.get(number);
}

/** What to do after a code, known or not: its high byte tells. [CLOSE-3] */
export function closeCodeAdvice(number: number): CodeAdvice {
  return number >> 8 === 0x01 ? "allocate" : "stop";
}

/** Whether this is the name of a code. */
export function isCloseCode(name: unknown): name is CloseCode {
  return typeof name === "string" && Object.hasOwn(closeCodes, name);
}
