/** Names a key by its path, for {@link locateKeys}. */
export function keyPath(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

/**
 * The line (from 1) of every table header and key in a TOML document, by {@link keyPath}; the first mention counts. An item
 * of an array of tables is named by its index as well, as in `fragment`, `2`, `name`. The parser gives no positions. Only for documents that it has accepted: of others it may tell less, but it ends.
 */
export function locateKeys(toml: string): ReadonlyMap<string, number> {
  const scanner = new KeyScanner(toml);
  scanner.document();
  return scanner.lines;
}

/** A table header or key that a document has once more. */
export interface Repeated {
  /** As `cluster.port` or `fragment[1].name`. */
  readonly name: string;
  /** Line (from 1) of the first mention. */
  readonly line: number;
}

/** What stands in a line of a document and stood there before; `undefined` where that cannot be said. */
export function findRepeated(toml: string, line: number): Repeated | undefined {
  const scanner = new KeyScanner(toml, line);
  scanner.document();
  return scanner.repeated;
}

/** A path as it is written, and with the indices of the items that it goes through. */
interface Place {
  readonly path: readonly string[];
  readonly indexed: readonly string[];
}

class KeyScanner {
  readonly lines = new Map<string, number>();
  /** What the suspected line has once more. */
  repeated: Repeated | undefined;
  readonly #text: string;
  readonly #suspected: number | undefined;
  /** How many tables each array of tables has so far, by its path with indices. */
  readonly #counts = new Map<string, number>();
  #offset = 0;
  #line = 1;

  constructor(text: string, suspected?: number) {
    this.#text = text;
    this.#suspected = suspected;
  }

  document(): void {
    let table: Place = { path: [], indexed: [] };
    while (this.#skipBlank()) {
      if (this.#peek() === "[") {
        const line = this.#line;
        let brackets = 0;
        for (; this.#peek() === "["; brackets += 1) this.#advance();
        const path = this.#dottedKey("]");
        while (this.#peek() === "]") this.#advance();
        table = { path, indexed: this.#resolve(path, brackets > 1) };
        this.#record(table, line);
      } else {
        this.#pair(table);
      }
    }
  }

  #pair(table: Place): void {
    const line = this.#line;
    const key = this.#dottedKey("=");
    const place = { path: [...table.path, ...key], indexed: [...table.indexed, ...key] };
    this.#advance();
    this.#record(place, line);
    this.#value(place);
  }

  /** A header's path with the index of the latest table wherever it goes through an array of tables. */
  #resolve(path: readonly string[], isItem: boolean): string[] {
    const indexed: string[] = [];
    for (const [position, part] of path.entries()) {
      indexed.push(part);
      const name = keyPath(...indexed);
      const count = this.#counts.get(name) ?? 0;
      const isNext = isItem && position === path.length - 1;
      if (isNext) this.#counts.set(name, count + 1);
      if (isNext || count > 0) indexed.push(String(isNext ? count : count - 1));
    }
    return indexed;
  }

  /** Every prefix too: `a.b = 1` also says where `a` is. */
  #record({ path, indexed }: Place, line: number): void {
    if (line === this.#suspected) this.repeated ??= this.#findEarlier(indexed, path);
    for (const parts of [path, indexed]) {
      for (let length = 1; length <= parts.length; length += 1) {
        const name = keyPath(...parts.slice(0, length));
        if (!this.lines.has(name)) this.lines.set(name, line);
      }
    }
  }

  #findEarlier(...names: readonly (readonly string[])[]): Repeated | undefined {
    for (const parts of names) {
      const line = this.lines.get(keyPath(...parts));
      if (line !== undefined) return { name: displayName(parts), line };
    }
    return undefined;
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

  #value(place: Place): void {
    this.#skipSpace();
    const first = this.#peek();
    if (first === '"' || first === "'") this.#string();
    else if (first === "[") this.#list("]", (index) => this.#item(place, index));
    else if (first === "{") this.#list("}", () => this.#pair(place));
    else while (this.#offset < this.#text.length && !/[\n#,\]}]/.test(this.#peek())) this.#advance();
  }

  #item({ path, indexed }: Place, index: number): void {
    const place = { path, indexed: [...indexed, String(index)] };
    this.#record(place, this.#line);
    this.#value(place);
  }

  #list(end: string, item: (index: number) => void): void {
    let count = 0;
    this.#advance();
    while (this.#skipBlank()) {
      if (this.#peek() === end) {
        this.#advance();
        return;
      }
      if (this.#peek() === ",") this.#advance();
      else {
        const before = this.#offset;
        item(count++);
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

/** Indices in brackets, as in other problems. */
function displayName(parts: readonly string[]): string {
  return parts.map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`)).join("");
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
