/**
 * What of an earlier release's message is missing from today's, or has become of another kind, by its JSON path. Fields may be added;
 * none may go. Of lists the first entries are compared.
 */
export function missingFrom(today: unknown, earlier: unknown, path = "$"): readonly string[] {
  if (Array.isArray(earlier)) {
    if (!Array.isArray(today)) return [`${path}: no list any more`];
    if (earlier.length === 0) return [];
    return today.length === 0 ? [`${path}: empty`] : missingFrom(today[0], earlier[0], `${path}[0]`);
  }
  if (isRecord(earlier)) {
    if (!isRecord(today)) return [`${path}: no object any more`];
    return Object.entries(earlier).flatMap(([name, value]) =>
      Object.hasOwn(today, name) ? missingFrom(today[name], value, `${path}.${name}`) : [`${path}.${name}: gone`],
    );
  }
  const [was, is] = [kindOf(earlier), kindOf(today)];
  return was === is ? [] : [`${path}: ${is} instead of ${was}`];
}

function kindOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
