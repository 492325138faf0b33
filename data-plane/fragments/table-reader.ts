/** Something wrong with a layout: where, as a path like `fragment[2].threshold[0].players`, and what was expected. */
export interface LayoutProblem {
  readonly path: string;
  readonly message: string;
}

/** Bounds of a number; both belong to it unless `above` says otherwise. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  /** Whether `min` itself is refused. */
  readonly above?: boolean;
  readonly integer?: boolean;
}

/** Takes typed values out of an untrusted table, and collects what is wrong with it. Values are never quoted. */
export class TableReader {
  readonly path: string;
  readonly problems: LayoutProblem[];
  readonly #table: Readonly<Record<string, unknown>>;
  readonly #asked = new Set<string>();

  constructor(path: string, value: unknown, problems: LayoutProblem[]) {
    this.path = path;
    this.problems = problems;
    this.#table = isTable(value) ? value : {};
    if (value !== undefined && !isTable(value)) this.problems.push({ path, message: "expected a table" });
  }

  has(key: string): boolean {
    return this.#table[key] !== undefined;
  }

  /** The path of one of its keys. */
  at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  complain(key: string, message: string): void {
    this.problems.push({ path: this.at(key), message });
  }

  number<T>(key: string, range: NumberRange, fallback: T): number | T {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    if (isWithin(value, range)) return value;
    this.complain(key, `expected ${describe(range)}`);
    return fallback;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    if (typeof value === "boolean") return value;
    this.complain(key, "expected true or false");
    return fallback;
  }

  /** A name; missing is a problem, and empty the result. */
  name(key: string): string {
    const value = this.#take(key);
    if (typeof value === "string" && /^[\w.-]{1,64}$/.test(value)) return value;
    this.complain(key, `${value === undefined ? "missing, " : ""}expected 1 to 64 letters, digits, "_", "." and "-"`);
    return "";
  }

  /** A list of names; missing is an empty one. */
  names(key: string, most: number): readonly string[] {
    const value = this.#take(key);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.length > 0 && value.length <= most) {
      const items: readonly unknown[] = value;
      const names = items.filter((item): item is string => typeof item === "string");
      if (names.length === items.length) return names;
    }
    this.complain(key, `expected a list of 1 to ${most} names`);
    return [];
  }

  /** A list of 2 or 3 numbers, or `undefined`. */
  numbers(key: string, range: NumberRange): readonly number[] | undefined {
    const value = this.#take(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && (value.length === 2 || value.length === 3)) {
      const items: readonly unknown[] = value;
      const numbers = items.filter((item): item is number => isWithin(item, range));
      if (numbers.length === items.length) return numbers;
    }
    this.complain(key, `expected a list of 2 numbers (x, z) or 3 (x, y, z), each ${describe(range)}`);
    return undefined;
  }

  /** Readers for a list of tables, or for a single table where `single` allows it. */
  tables(key: string, most: number, single = false): TableReader[] {
    const value = this.#take(key);
    if (value === undefined) return [];
    if (single && isTable(value)) return [new TableReader(this.at(key), value, this.problems)];
    if (!Array.isArray(value)) {
      this.complain(key, `expected tables, each under [[${this.at(key).replaceAll(/\[\d+\]/g, "")}]]`);
      return [];
    }
    if (value.length > most) this.complain(key, `expected at most ${most}, got ${value.length}`);
    const items: readonly unknown[] = value.slice(0, most);
    return items.map((item, index) => new TableReader(`${this.at(key)}[${index}]`, item, this.problems));
  }

  /** Complains about keys that nobody asked for. */
  end(): void {
    for (const key of Object.keys(this.#table)) {
      if (!this.#asked.has(key)) this.complain(key, `unknown key, expected one of ${[...this.#asked].join(", ")}`);
    }
  }

  #take(key: string): unknown {
    this.#asked.add(key);
    return Object.hasOwn(this.#table, key) ? this.#table[key] : undefined;
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function isWithin(value: unknown, { min, max, above, integer }: NumberRange): value is number {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (integer === true && !Number.isInteger(value)) return false;
  return value <= max && (above === true ? value > min : value >= min);
}

function describe({ min, max, above, integer }: NumberRange): string {
  const kind = integer === true ? "an integer" : "a number";
  return above === true ? `${kind} above ${min} and at most ${max}` : `${kind} from ${min} to ${max}`;
}
