import type { AuditRow } from "./audit-chain.ts";

/** Which rows of the audit log are wanted: all that are given have to match. */
export interface AuditFilters {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  readonly requestId?: string | undefined;
  /** Milliseconds since 1970, this one included. */
  readonly sinceMs?: number | undefined;
  /** Milliseconds since 1970, this one left out. */
  readonly untilMs?: number | undefined;
}

/** A page of the audit log. */
export interface AuditQuery {
  readonly order: "asc" | "desc";
  /** The row after which the page begins, in this order. */
  readonly position: number | undefined;
  /** Only rows before this one. */
  readonly below?: number | undefined;
  readonly filters: AuditFilters;
  readonly limit: number;
}

/** The SQL condition of a query over columns that are named as the fields of {@link AuditRow}, and its bindings. */
export function auditConditions(query: AuditQuery): {
  readonly where: string;
  readonly bindings: readonly (string | number)[];
} {
  const { actor, action, target, requestId, sinceMs, untilMs } = query.filters;
  const parts = (
    [
      [query.order === "asc" ? "sequence > ?" : "sequence < ?", query.position],
      ["sequence < ?", query.below],
      ["actor = ?", actor],
      ["action = ?", action],
      ["target = ?", target],
      ["requestId = ?", requestId],
      ["atMs >= ?", sinceMs],
      ["atMs < ?", untilMs],
    ] satisfies readonly (readonly [string, string | number | undefined])[]
  ).flatMap(([condition, value]) => (value === undefined ? [] : [{ condition, value }]));
  return {
    where: parts.map(({ condition }) => condition).join(" AND ") || "TRUE",
    bindings: parts.map(({ value }) => value),
  };
}

/** A page, and where the next one begins; `undefined` when there is none. */
export interface AuditPage {
  readonly rows: readonly AuditRow[];
  readonly next: number | undefined;
}

/** Makes a page of rows of which one more was asked for than it holds. */
export function auditPage(rows: readonly AuditRow[], limit: number): AuditPage {
  const shown = rows.slice(0, limit);
  return { rows: shown, next: rows.length > limit ? shown.at(-1)?.sequence : undefined };
}
