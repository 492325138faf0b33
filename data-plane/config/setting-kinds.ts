/** What values a setting takes, and how to say so. */
export interface SettingKind<T> {
  /** Completes "expected …". */
  readonly expected: string;
  /** The value, or `undefined` when it is not of this kind. */
  readonly parse: (value: unknown) => T | undefined;
  /** What an environment variable's text stands for, before {@link parse}. */
  readonly fromText: (text: string) => unknown;
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): SettingKind<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    parse: (value) =>
      typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? value : undefined,
    fromText: (text) => (/^-?\d+$/.test(text) ? Number(text) : text),
  };
}

/** A finite number from `min` to `max`. */
export function decimal(min: number, max: number): SettingKind<number> {
  return {
    expected: `a number from ${min} to ${max}`,
    parse: (value) => (typeof value === "number" && value >= min && value <= max ? value : undefined),
    fromText: toNumber,
  };
}

/** Text that matches `pattern`, which `expected` puts in words. */
export function text(expected: string, pattern: RegExp): SettingKind<string> {
  return {
    expected,
    parse: (value) => (typeof value === "string" && pattern.test(value) ? value : undefined),
    fromText: (value) => value,
  };
}

/** `true` or `false`. */
export const flag: SettingKind<boolean> = {
  expected: "true or false",
  parse: (value) => (typeof value === "boolean" ? value : undefined),
  fromText: (text) => (text === "true" ? true : text === "false" ? false : text),
};

/** A TCP port, with `"free"` for whichever the system gives. */
export const port: SettingKind<number | "free"> = {
  expected: 'a port from 0 to 65535 (0 is the default) or "free"',
  parse: (value) => (value === "free" ? value : integer(0, 65_535).parse(value)),
  fromText: integer(0, 65_535).fromText,
};

/** A list of at most `max` short words. */
export function words(max: number): SettingKind<readonly string[]> {
  return {
    expected: `a list of at most ${max} words of 1 to 32 letters, digits, "_", "." and "-"`,
    parse: (value) =>
      Array.isArray(value) && value.length <= max && value.every(isWord) ? value.filter(isWord) : undefined,
    fromText: (text) => text.split(",").map((word) => word.trim()),
  };
}

/** Where something stands in the world. */
export interface Spot {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Three numbers that an `f32` can carry. */
export const spot: SettingKind<Spot> = {
  expected: "three numbers, as in [0.0, 0.0, 0.0]",
  parse: (value) => {
    if (!Array.isArray(value) || value.length !== 3) return undefined;
    const [x, y, z]: readonly unknown[] = value;
    return isCoordinate(x) && isCoordinate(y) && isCoordinate(z) ? { x, y, z } : undefined;
  },
  fromText: (text) => text.split(",").map((part) => toNumber(part.trim())),
};

function isWord(value: unknown): value is string {
  return typeof value === "string" && /^[\w.-]{1,32}$/.test(value);
}

function isCoordinate(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(Math.fround(value));
}

function toNumber(text: string): unknown {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
