/** What came of an action: it is about to be tried, it was done, or it was refused or failed. */
export const auditOutcomes = ["intended", "done", "failed"] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

/** Plain JSON, as an entry may carry it. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | null | readonly string[] | undefined>>;

/** One line of the audit log. Everything in it but `hash` is what `hash` is made of. */
export interface AuditRow {
  /** From 1, without gaps. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** The operator's player id. */
  readonly actor: string;
  /** `noun.verb`. */
  readonly action: string;
  /** What it was done to, as `cluster:…`, `key:…`, `player:…`. */
  readonly target: string;
  /** JSON of an object with its keys in order: see {@link canonicalJson}. */
  readonly details: string;
  /** Of the request; the same in the intent and in what came of it. */
  readonly requestId: string;
  readonly outcome: AuditOutcome;
  /** For `done` and `failed`: the sequence of the row that said that it was intended. */
  readonly intent: number | null;
  /** {@link AuditRow.hash} of the row before. */
  readonly previousHash: string;
  /** SHA-256 of {@link canonicalRow}, in hex. */
  readonly hash: string;
}

export type UnhashedAuditRow = Omit<AuditRow, "hash">;

/** What the first row has as the hash of the one before. */
export const firstPreviousHash = "0".repeat(64);

/**
 * The one written form of a row that is hashed: a JSON array of its fields in a fixed order, after a name that says which form this
 * is. A text cannot pass for two fields, as JSON quotes it.
 */
export function canonicalRow(row: UnhashedAuditRow): string {
  return JSON.stringify([
    "sustenet-audit-1",
    row.sequence,
    row.atMs,
    row.actor,
    row.action,
    row.target,
    row.details,
    row.requestId,
    row.outcome,
    row.intent,
    row.previousHash,
  ]);
}

export async function hashAuditRow(row: UnhashedAuditRow): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonicalRow(row)));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** JSON of `details` with the keys in order, and without those that are undefined. */
export function canonicalJson(details: AuditDetails): string {
  const entries = Object.entries(details).filter(([, value]) => value !== undefined);
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The newest row, as the writer of the log knows it. `sequence` is 0 while there is none. */
export interface AuditHead {
  readonly sequence: number;
  readonly hash: string;
}

/** What a check of the chain found. */
export type AuditVerdict =
  | {
      readonly ok: true;
      readonly head: AuditHead;
      /** Intents without an outcome: the master was stopped in between, or was asked only now. */
      readonly open: readonly number[];
    }
  | {
      readonly ok: false;
      /** The first row that is not as it was written, or that is missing. */
      readonly sequence: number;
      readonly fault: string;
      /** Of how many rows the chain holds. */
      readonly sound: number;
    };

/** Of intents without an outcome, so many are kept in mind. */
const maxOpen = 10_000;

/** Checks rows one after the other, from the first one on. Memory is bounded, however long the log is. */
export class AuditChainCheck {
  #head: AuditHead = { sequence: 0, hash: firstPreviousHash };
  #fault: Extract<AuditVerdict, { ok: false }> | undefined;
  readonly #open = new Set<number>();

  /** The next row. Those after a faulty one are passed over. */
  async add(row: AuditRow): Promise<void> {
    if (this.#fault !== undefined) return;
    const expected = this.#head.sequence + 1;
    if (row.sequence !== expected) {
      const fault = row.sequence > expected ? "is missing" : `is followed by row ${row.sequence}`;
      return this.#fail(row.sequence > expected ? expected : this.#head.sequence, fault);
    }
    if (row.previousHash !== this.#head.hash) {
      return this.#fail(
        expected,
        "does not carry the hash of the row before it: one of the two is not as it was written",
      );
    }
    if (row.hash !== (await hashAuditRow(row))) return this.#fail(expected, "does not match its own hash");
    this.#head = { sequence: row.sequence, hash: row.hash };
    if (row.outcome === "intended") this.#noteOpen(row.sequence);
    else if (row.intent !== null) this.#open.delete(row.intent);
  }

  /** @param head what the writer says its newest row is; without it, nobody notices rows that are missing at the end */
  verdict(head?: AuditHead): AuditVerdict {
    if (this.#fault === undefined && head !== undefined && head.sequence > this.#head.sequence) {
      this.#fail(this.#head.sequence + 1, `is missing: the log goes on to row ${head.sequence}`);
    } else if (this.#fault === undefined && head?.sequence === this.#head.sequence && head.hash !== this.#head.hash) {
      this.#fail(head.sequence, "is not the row that the master wrote");
    }
    return this.#fault ?? { ok: true, head: this.#head, open: [...this.#open] };
  }

  #noteOpen(sequence: number): void {
    if (this.#open.size < maxOpen) this.#open.add(sequence);
  }

  #fail(sequence: number, fault: string): void {
    this.#fault = { ok: false, sequence, fault, sound: sequence - 1 };
  }
}
