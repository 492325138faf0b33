import { type ByteReader, ByteWriter, ProtocolError } from "../../protocol/index.ts";
import { assertCommand } from "./command.ts";
import type { Player } from "./player.ts";
import { isPromiseLike } from "./plugin-slot.ts";
import type { Cluster } from "./server-plugin.ts";

/** Kinds of fields and what they hold. `str8`: at most 255 bytes of UTF-8; `bytes`: at most 65,535 bytes. */
export interface FieldTypes {
  readonly u8: number;
  readonly u16: number;
  readonly u32: number;
  readonly f32: number;
  readonly f64: number;
  readonly bool: boolean;
  readonly str8: string;
  readonly bytes: Uint8Array;
}

export type FieldKind = keyof FieldTypes;
export type MessageFields = Readonly<Record<string, FieldKind>>;
export type MessageValues<F extends MessageFields> = { readonly [Name in keyof F]: FieldTypes[F[Name]] };

const maxPayloadBytes = 65_533;
const fieldKinds: ReadonlySet<string> = new Set<FieldKind>(["u8", "u16", "u32", "f32", "f64", "bool", "str8", "bytes"]);

/** A message of the game whose fields have names and types. */
export interface TypedMessage<F extends MessageFields> {
  readonly command: number;
  /**
   * The payload: the fields in the order of their definition, little-endian, texts and bytes behind their length.
   *
   * @throws RangeError for a value that its field cannot hold, or more than 65,533 bytes
   */
  encode(values: MessageValues<F>): Uint8Array;
  /**
   * Reads a payload, all of it.
   *
   * @throws ProtocolError for bytes that are not such a message; let it through, it is the sender's fault
   */
  decode(reader: ByteReader): MessageValues<F>;
  /** @returns false when the player has left */
  send(player: Player, values: MessageValues<F>): boolean;
  broadcast(cluster: Cluster, values: MessageValues<F>, except?: Player): void;
}

/**
 * Defines a message: `defineMessage(7, { x: "f32", name: "str8" })`.
 *
 * @param command 0 to 255
 * @throws RangeError for another command, or a kind of field that there is not
 */
export function defineMessage<const F extends MessageFields>(command: number, fields: F): TypedMessage<F> {
  assertCommand(command);
  const kinds = Object.entries(fields);
  for (const [name, kind] of kinds) {
    if (!fieldKinds.has(kind)) throw new RangeError(`${name}: there is no kind of field ${kind}`);
  }
  const encode = (values: MessageValues<F>): Uint8Array => {
    const given = new Map<string, unknown>(Object.entries(values));
    const parts = kinds.map(([name, kind]) => encodeField(name, kind, given.get(name)));
    const payload = Buffer.concat(parts);
    if (payload.length > maxPayloadBytes) {
      throw new RangeError(`a payload has at most ${maxPayloadBytes} bytes, not ${payload.length}`);
    }
    return payload;
  };
  return {
    command,
    encode,
    decode: (reader) => {
      const values: Readonly<Record<string, unknown>> = Object.fromEntries(
        kinds.map(([name, kind]) => [name, decodeField(reader, kind)]),
      );
      reader.end();
      assertDecoded<F>(kinds, values);
      return values;
    },
    send: (player, values) => player.send(command, encode(values)),
    broadcast: (cluster, values, except) => cluster.broadcast(command, encode(values), except),
  };
}

type Handler = (player: Player, reader: ByteReader) => boolean | void | Promise<boolean | void>;

/** Gives each typed message to its handler. */
export class MessageTable {
  readonly #handlers = new Map<number, Handler>();

  /** @throws RangeError for a command that has a handler already */
  on<F extends MessageFields>(
    message: TypedMessage<F>,
    handle: (player: Player, values: MessageValues<F>) => void | Promise<void>,
  ): this {
    if (this.#handlers.has(message.command)) throw new RangeError(`command ${message.command} has a handler already`);
    this.#handlers.set(message.command, (player, reader) => {
      const done: unknown = handle(player, message.decode(reader));
      return isPromiseLike(done) ? Promise.resolve(done).then(() => true) : true;
    });
    return this;
  }

  /** For `onMessage`: true, or a promise of it, for a message that has a handler here. */
  handle(player: Player, command: number, reader: ByteReader): boolean | void | Promise<boolean | void> {
    return this.#handlers.get(command)?.(player, reader) ?? false;
  }
}

function encodeField(name: string, kind: FieldKind, value: unknown): Uint8Array {
  try {
    if (typeof value === "number") return encodeNumber(kind, value);
    if (typeof value === "boolean" && kind === "bool") return Uint8Array.of(value ? 1 : 0);
    if (typeof value === "string" && kind === "str8") {
      const text = Buffer.from(value, "utf8");
      return new ByteWriter(1 + text.length).u8(text.length).raw(text).bytes;
    }
    if (value instanceof Uint8Array && kind === "bytes") {
      return new ByteWriter(2 + value.length).u16(value.length).raw(value).bytes;
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  throw new RangeError(`${name}: not a value for ${kind}`);
}

function encodeNumber(kind: FieldKind, value: number): Uint8Array {
  switch (kind) {
    case "u8":
      return new ByteWriter(1).u8(value).bytes;
    case "u16":
      return new ByteWriter(2).u16(value).bytes;
    case "u32":
      return new ByteWriter(4).u32(value).bytes;
    case "f32":
      return new ByteWriter(4).f32(value).bytes;
    case "f64":
      return new ByteWriter(8).f64(value).bytes;
    case "bool":
    case "str8":
    case "bytes":
      throw new RangeError(`a number is no value for ${kind}`);
  }
}

function decodeField(reader: ByteReader, kind: FieldKind): FieldTypes[FieldKind] {
  switch (kind) {
    case "u8":
      return reader.u8();
    case "u16":
      return reader.u16();
    case "u32":
      return reader.u32();
    case "f32":
      return reader.f32();
    case "f64":
      return reader.f64();
    case "bool": {
      const byte = reader.u8();
      if (byte > 1) throw new ProtocolError("BAD_NUMBER", "neither true nor false");
      return byte === 1;
    }
    case "str8":
      return reader.str8();
    case "bytes":
      return reader.bytes(reader.u16());
  }
}

/** Tells the compiler what {@link decodeField} has done: there is a value of the right kind for each field. */
function assertDecoded<F extends MessageFields>(
  kinds: readonly (readonly [string, FieldKind])[],
  values: Readonly<Record<string, unknown>>,
): asserts values is MessageValues<F> {
  if (!kinds.every(([name]) => Object.hasOwn(values, name))) throw new Error("a field was not read");
}
