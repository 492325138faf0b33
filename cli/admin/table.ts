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

/** A time, or `–` for none. */
export function formatTime(ms: number | null | undefined): string {
  return ms === null || ms === undefined || ms === 0 ? "–" : new Date(ms).toISOString().replace("T", " ").slice(0, 19);
}

/** Shows an answer: as JSON for programs, or as `text` makes it readable. What others have named is shown without control characters. */
export function show(json: boolean, answer: unknown, text: () => string): void {
  console.log(json ? JSON.stringify(answer, null, 2) : text().replaceAll(/(?!\n)[\p{Cc}\p{Cf}]/gu, "?"));
}
