/** What a token of SQL text is; whitespace and comments are skipped. */
export type TokenKind =
  | "word"
  | "quoted"
  | "string"
  | "parameter"
  | "number"
  | "semicolon"
  | "open"
  | "close"
  | "other";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const tokenPattern = new RegExp(
  [
    String.raw`(?<skip>[\s\uFEFF]+|--[^\n]*|/\*[\s\S]*?(?:\*/|$))`,
    // A doubled quote reads as two strings side by side, which makes no difference here. One that is never closed runs
    // to the end; the engine then says what is wrong.
    String.raw`(?<string>'[^']*(?:'|$))`,
    String.raw`(?<quoted>"[^"]*(?:"|$)|${"`"}[^${"`"}]*(?:${"`"}|$)|\[[^\]]*(?:\]|$))`,
    String.raw`(?<parameter>\?\d*|[:@$][\w$\u0080-\uFFFF]+(?:::[\w$\u0080-\uFFFF]*)*(?:\([^)\s]*\))?)`,
    String.raw`(?<number>\d[\w.]*|\.\d[\w.]*)`,
    String.raw`(?<word>[A-Za-z_\u0080-\uFFFF][\w$\u0080-\uFFFF]*)`,
    String.raw`(?<semicolon>;)`,
    String.raw`(?<open>\()`,
    String.raw`(?<close>\))`,
    String.raw`(?<other>[\s\S])`,
  ].join("|"),
  "g",
);

const kinds = ["string", "quoted", "parameter", "number", "word", "semicolon", "open", "close", "other"] as const;

/** Cuts SQL text into tokens, the way SQLite's own tokenizer does, as far as this emulation needs it. */
export function tokenizeSql(sql: string): Token[] {
  const tokens: Token[] = [];
  for (const match of sql.matchAll(tokenPattern)) {
    const groups = match.groups;
    if (groups === undefined || groups["skip"] !== undefined) continue;
    const kind = kinds.find((name) => groups[name] !== undefined) ?? "other";
    tokens.push({ kind, text: match[0], start: match.index, end: match.index + match[0].length });
  }
  return tokens;
}
