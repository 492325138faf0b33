/** Rows under a heading, in columns that are as wide as they have to be. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  return [heading, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A time in UTC to the second, or `none` where there is none. @param time milliseconds since 1970 or ISO 8601, as the master has it */
export function formatTime(time: number | string | null | undefined, none = "–"): string {
  if (time === null || time === undefined || time === 0) return none;
  return new Date(time).toISOString().replace("T", " ").slice(0, 19);
}

/** Shows an answer: as JSON for programs, or as `text` makes it readable. What others have named is shown without control characters. */
export function show(json: boolean, answer: unknown, text: () => string): void {
  console.log(json ? JSON.stringify(answer, null, 2) : text().replaceAll(/(?!\n)[\p{Cc}\p{Cf}]/gu, "?"));
}
