import { ProtocolFault, StatementFault } from "./fault.ts";
import type { HranaStatement } from "./hrana.ts";
import type { SqlStatement } from "./sql-text.ts";
import type { SqlValue } from "./value.ts";

/** The text of a statement, given itself or by the id under which it is stored. @throws ProtocolFault */
export function resolveSql(
  given: { readonly sql?: string | null | undefined; readonly sql_id?: number | null | undefined },
  stored: ReadonlyMap<number, string>,
): string {
  const { sql, sql_id: id } = given;
  if (typeof sql === "string" && typeof id === "number") {
    throw new ProtocolFault("Either `sql` or `sql_id` are required, but not both");
  }
  if (typeof sql === "string") return sql;
  if (typeof id !== "number") throw new ProtocolFault("Either `sql` or `sql_id` are required");
  const text = stored.get(id);
  if (text === undefined) throw new ProtocolFault(`SQL text ${id} not found`);
  return text;
}

/**
 * One value for each parameter of the statement, in order of index. A name may be given with or without its prefix.
 * @throws StatementFault when one is missing, or too many are given
 */
export function bindArguments(statement: SqlStatement, given: HranaStatement): SqlValue[] {
  const positional = given.args ?? [];
  const named = given.named_args ?? [];
  if (positional.length > 0 && named.length > 0) {
    throw new StatementFault(
      "ARGS_BOTH_POSITIONAL_AND_NAMED",
      "Specifying both positional and named arguments is not supported",
    );
  }
  const { parameters } = statement;
  const byName = new Map(named.map(({ name, value }) => [name, value]));
  const count = positional.length + byName.size;
  if (count > parameters.length) {
    throw invalid(`too many parameters, expected ${parameters.length} found ${count}`);
  }
  return parameters.map((name, index) => {
    const value =
      name === undefined || name.startsWith("?") ? positional[index] : (byName.get(name) ?? byName.get(name.slice(1)));
    if (value !== undefined) return value;
    if (statement.explain) return null;
    throw invalid(`value for parameter ${name ?? index + 1} not found`);
  });
}

function invalid(what: string): StatementFault {
  return new StatementFault("ARGS_INVALID", `Arguments do not match SQL parameters: ${what}`);
}
