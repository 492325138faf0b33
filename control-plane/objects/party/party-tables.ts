import type { Party } from "../../domain/parties/party.ts";
import { outboxSchema, outboxSourceSchema } from "../outbox.ts";

/** Append-only: see `migrateStorage`. */
export const partyMigrations: readonly string[] = [
  `
  CREATE TABLE party (state TEXT NOT NULL) STRICT;
  ${outboxSchema}
  ${outboxSourceSchema}
  `,
];

/** The SQL of a party: it is one small value, written whole. */
export class PartyTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** `undefined` before it was made and after it has ended. */
  party(): Party | undefined {
    const row = this.#sql.exec<{ state: string }>("SELECT state FROM party").toArray()[0];
    if (row === undefined) return undefined;
    const party: Party = JSON.parse(row.state);
    return party;
  }

  put(party: Party | undefined): void {
    this.#sql.exec("DELETE FROM party");
    if (party !== undefined) this.#sql.exec("INSERT INTO party (state) VALUES (?)", JSON.stringify(party));
  }
}
