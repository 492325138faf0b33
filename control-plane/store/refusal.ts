/** What the database says of a row that it will not take, however often it is tried. Others may pass: locks, outages, a schema that is behind. */
const permanent = /^SQLITE_(?:CONSTRAINT|MISMATCH|TOOBIG)/;

/** Whether the database has refused the rows themselves. */
export function refusesRows(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth += 1) {
    const code: unknown = Reflect.get(cause, "code");
    if (typeof code === "string" && permanent.test(code)) return true;
  }
  return false;
}
