import type { PeerMessage } from "./handover-codec.ts";

/** What is taken of one neighbour, on average and at once, in units: each is 2 to 6 µs of this process. [PEER-8] */
export const unitsPerSecond = 32_768;
export const maxBurstUnits = 131_072;

const bytesPerUnit = 1_024;
/** What costs a neighbour something: messages about handovers, where players reach it, and what is neither. */
interface Charged {
  readonly type: PeerMessage["type"] | "address" | "malformed";
}

/** What a kind of message costs beyond that: of a `prepare` all reservations are counted, of a `commit` a signature is checked. */
const moreUnits: Readonly<Partial<Record<Charged["type"], number>>> = {
  prepare: 16,
  commit: 32,
  transfer: 2,
  address: 7,
};

/** How often it is news at most that a neighbour owes something. */
const newsMs = 60_000;

interface Account {
  /** When what has come would have come at the average rate. */
  paidUntilMs: number;
  toldAtMs: number;
}

/** What a message of a handover costs its reader, in units. */
export function unitsOf({ type }: Charged, bytes: number): number {
  return 1 + Math.floor(bytes / bytesPerUnit) + (moreUnits[type] ?? 0);
}

/**
 * Bounds the time that neighbours can make this cluster spend with what they say about handovers. An account is the neighbour's, not its link's:
 * a new link owes what the one before did, and is read once that is paid. [PEER-8]
 */
export class HandoverToll {
  readonly #nowMs: () => number;
  readonly #accounts = new Map<string, Account>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A message has come, of so many bytes. @returns for how long nothing more is to be read, in milliseconds */
  charge(clusterId: string, message: Charged, bytes: number): number {
    const now = this.#nowMs();
    const account = this.#accounts.get(clusterId) ?? { paidUntilMs: now, toldAtMs: Number.NEGATIVE_INFINITY };
    this.#accounts.set(clusterId, account);
    account.paidUntilMs = Math.max(account.paidUntilMs, now) + msOf(unitsOf(message, bytes));
    return this.owedMs(clusterId);
  }

  /** For how long nothing is to be read of a neighbour, in milliseconds. */
  owedMs(clusterId: string): number {
    const now = this.#nowMs();
    return Math.max(0, (this.#accounts.get(clusterId)?.paidUntilMs ?? now) - now - msOf(maxBurstUnits));
  }

  /** Whether the log has not been told for a while that this neighbour owes something; it is told now. */
  isNews(clusterId: string): boolean {
    const [now, account] = [this.#nowMs(), this.#accounts.get(clusterId)];
    if (account === undefined || now - account.toldAtMs < newsMs) return false;
    account.toldAtMs = now;
    return true;
  }

  /** Accounts of which nothing is left are as good as none. */
  forgetPaid(): void {
    const now = this.#nowMs();
    for (const [clusterId, { paidUntilMs }] of this.#accounts) if (paidUntilMs <= now) this.#accounts.delete(clusterId);
  }
}

function msOf(units: number): number {
  return (units * 1_000) / unitsPerSecond;
}
