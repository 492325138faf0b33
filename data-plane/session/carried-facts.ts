import { ByteReader, ByteWriter, encodeUtf8 } from "../../protocol/bytes.ts";
import { ProtocolError } from "../../protocol/error.ts";
import { maxReservationIdLength } from "../../protocol/link.ts";

/** What clusters tell each other of a player beside its state: what the session needs to go on where it was. */
export interface CarriedFacts {
  readonly name: string;
  /** Of its ticket. The master takes 1 to 64 characters in a report, and refuses one with another, with all that it says of others. */
  readonly reservationId: string;
  /** The fragment that its ticket named. */
  readonly ticketFragment: string;
  /** Protocol version and features in force: what is kept to be sent again was made for them. */
  readonly version: number;
  readonly features: number;
  /** The last id of a request to the client. */
  readonly lastRequest: number;
  /** Sequence of the last MOVE. */
  readonly moveSequence: number;
  /** Whether the game has put it where it stands, so that its client may not know that yet. [MOVE-4] */
  readonly isPut: boolean;
}

/** Of a player that walks. Every cluster reads it. */
const walking = 1;
/** Of one that its game has put there: a cluster that does not know of that refuses it, rather than take it for one that walked. */
const put = 2;
const maxTextBytes = 255;
const maxMoveSequence = 65_535;

export function encodeCarriedFacts(facts: CarriedFacts): Uint8Array {
  const texts = [facts.name, facts.reservationId, facts.ticketFragment].map((text) => encodeUtf8(text, maxTextBytes));
  const writer = new ByteWriter(1 + 13 + texts.reduce((sum, text) => sum + 1 + text.length, 0)).u8(
    facts.isPut ? put : walking,
  );
  for (const text of texts) writer.u8(text.length).raw(text);
  return writer.u8(facts.version).u32(facts.features).u32(facts.lastRequest).u32(facts.moveSequence).bytes;
}

/** `undefined` for what is none, or of a version that this cluster does not know. */
export function decodeCarriedFacts(bytes: Uint8Array): CarriedFacts | undefined {
  try {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== walking && version !== put) return undefined;
    const facts = {
      name: reader.str8(),
      reservationId: reader.str8(),
      ticketFragment: reader.str8(),
      version: reader.u8(),
      features: reader.u32(),
      lastRequest: reader.u32(),
      moveSequence: reader.u32(),
      isPut: version === put,
    };
    reader.end();
    const { length } = facts.reservationId;
    const isWhole = length >= 1 && length <= maxReservationIdLength && facts.moveSequence <= maxMoveSequence;
    return isWhole ? facts : undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
