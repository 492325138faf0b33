/** Names a key by its path, for {@link locateKeys}. */
export function keyPath(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

/**
 * The line (from 1) of every table header and key in a TOML document, by {@link keyPath}; the first mention counts. The
 * parser gives no positions. Only for documents that it has accepted: of others it may tell less, but it ends.
 */
export function locateKeys(toml: string): ReadonlyMap<string, number> {
  const scanner = new KeyScanner(toml);
  scanner.document();
  return scanner.lines;
}

class KeyScanner {
  readonly lines = new Map<string, number>();
  readonly #text: string;
  #offset = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    let table: readonly string[] = [];
    while (this.#skipBlank()) {
      if (this.#peek() === "[") {
        const line = this.#line;
        while (this.#peek() === "[") this.#advance();
        table = this.#dottedKey("]");
        while (this.#peek() === "]") this.#advance();
        this.#record(table, line);
      } else {
        this.#pair(table);
      }
    }
  }

  #pair(table: readonly string[]): void {
    const line = this.#line;
    const path = [...table, ...this.#dottedKey("=")];
    this.#advance();
    this.#record(path, line);
    this.#value(path);
  }

  /** Every prefix too: `a.b = 1` also says where `a` is. */
  #record(path: readonly string[], line: number): void {
    for (let length = 1; length <= path.length; length += 1) {
      const name = keyPath(...path.slice(0, length));
      if (!this.lines.has(name)) this.lines.set(name, line);
    }
  }

  #dottedKey(end: string): string[] {
    const parts: string[] = [];
    for (;;) {
      this.#skipSpace();
      const start = this.#offset;
      const quote = this.#peek();
      if (quote === '"' || quote === "'") {
        this.#string();
        parts.push(unquote(this.#text.slice(start, this.#offset)));
      } else {
        while (/[\w-]/.test(this.#peek())) this.#advance();
        parts.push(this.#text.slice(start, this.#offset));
      }
      this.#skipSpace();
      if (this.#peek() !== ".") break;
      this.#advance();
    }
    // Of a document that the parser took, this is where we stand already.
    while (this.#offset < this.#text.length && this.#peek() !== end) this.#advance();
    return parts;
  }

  #value(path: readonly string[]): void {
    this.#skipSpace();
    const first = this.#peek();
    if (first === '"' || first === "'") this.#string();
    else if (first === "[") this.#list("]", () => this.#value(path));
    else if (first === "{") this.#list("}", () => this.#pair(path));
    else while (this.#offset < this.#text.length && !/[\n#,\]}]/.test(this.#peek())) this.#advance();
  }

  #list(end: string, item: () => void): void {
    this.#advance();
    while (this.#skipBlank()) {
      if (this.#peek() === end) {
        this.#advance();
        return;
      }
      if (this.#peek() === ",") this.#advance();
      else {
        const before = this.#offset;
        item();
        if (this.#offset === before) this.#advance();
      }
    }
  }

  #string(): void {
    const quote = this.#peek();
    const multiline = this.#text.startsWith(quote.repeat(3), this.#offset);
    const close = multiline ? quote.repeat(3) : quote;
    this.#advance(close.length);
    while (this.#offset < this.#text.length) {
      if (quote === '"' && this.#peek() === "\\") this.#advance(2);
      else if (this.#text.startsWith(close, this.#offset)) {
        this.#advance(close.length);
        // Up to two quotes may stand right before the closing three.
        if (multiline) while (this.#peek() === quote) this.#advance();
        return;
      } else this.#advance();
    }
  }

  /** Skips spaces, line ends and comments; false at the end. */
  #skipBlank(): boolean {
    for (;;) {
      this.#skipSpace();
      if (this.#peek() === "#") while (this.#offset < this.#text.length && this.#peek() !== "\n") this.#advance();
      else if (this.#peek() === "\n") this.#advance();
      else return this.#offset < this.#text.length;
    }
  }

  #skipSpace(): void {
    while (/[ \t\r]/.test(this.#peek())) this.#advance();
  }

  #peek(): string {
    return this.#text.charAt(this.#offset);
  }

  #advance(count = 1): void {
    for (let step = 0; step < count && this.#offset < this.#text.length; step += 1) {
      if (this.#text.charAt(this.#offset) === "\n") this.#line += 1;
      this.#offset += 1;
    }
  }
}

function unquote(quoted: string): string {
  if (!quoted.startsWith('"')) return quoted.slice(1, -1);
  try {
    const value: unknown = JSON.parse(quoted);
    return typeof value === "string" ? value : quoted;
  } catch {
    return quoted.slice(1, -1);
  }
}
