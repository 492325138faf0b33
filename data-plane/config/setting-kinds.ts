import { isIP } from "node:net";
import { isCounterName } from "../../protocol/index.ts";

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

/** One of a few words. */
export function choice<const T extends string>(...options: readonly T[]): SettingKind<T> {
  return {
    expected: `one of ${options.join(", ")}`,
    parse: (value) => options.find((option) => option === value),
    fromText: (text) => text,
  };
}

/** How many, with `"cores"` for one on each core of this machine. */
export const instanceCount: SettingKind<number | "cores"> = {
  expected: 'a whole number from 0 to 256 (0 is one without a supervisor) or "cores"',
  parse: (value) => (value === "cores" ? value : integer(0, 256).parse(value)),
  fromText: integer(0, 256).fromText,
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

/** A list of at most `max` names with a text each, no name twice. */
export function labels(max: number): SettingKind<readonly string[]> {
  return {
    expected: `a list of at most ${max} texts like "mode=ctf", each with another name of letters, digits, "_", ".", "/" and "-"`,
    parse: (value) => {
      const texts = list(value, max, isLabel);
      return new Set(texts?.map((label) => label.split("=")[0])).size === texts?.length ? texts : undefined;
    },
    fromText: separated,
  };
}

function isLabel(value: unknown): value is string {
  if (typeof value !== "string") return false;
  const equals = value.indexOf("=");
  return equals > 0 && isCounterName(value.slice(0, equals)) && /^[^\p{C}]{0,64}$/u.test(value.slice(equals + 1));
}

/** A TCP port for something that is off by default. */
export const optionalPort: SettingKind<number | "free"> = {
  expected: 'a port from 1 to 65535, 0 for none, or "free"',
  parse: port.parse,
  fromText: port.fromText,
};

/** A list of at most `max` addresses and networks. */
export function networks(max: number): SettingKind<readonly string[]> {
  return {
    expected: `a list of at most ${max} IP addresses or networks, as in ["10.0.0.0/8", "2001:db8::1"]`,
    parse: (value) => list(value, max, isNetwork),
    fromText: separated,
  };
}

/** A list of at most `max` origins of web pages. */
export function origins(max: number): SettingKind<readonly string[]> {
  return {
    expected: `a list of at most ${max} origins, as in ["https://play.example.com"]`,
    parse: (value) => list(value, max, isOrigin),
    fromText: separated,
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

function list(value: unknown, max: number, isItem: (item: unknown) => item is string): readonly string[] | undefined {
  return Array.isArray(value) && value.length <= max && value.every(isItem) ? value.filter(isItem) : undefined;
}

function separated(text: string): readonly string[] {
  return text.split(",").map((item) => item.trim());
}

function isNetwork(value: unknown): value is string {
  if (typeof value !== "string") return false;
  const [address = "", prefix = "0", ...more] = value.split("/");
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1;
  return more.length === 0 && !address.includes("%") && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
}

function isOrigin(value: unknown): value is string {
  return typeof value === "string" && URL.canParse(value) && new URL(value).origin === value;
}

function isCoordinate(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(Math.fround(value));
}

function toNumber(text: string): unknown {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
