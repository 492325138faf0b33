/** The encoders produce the bytes of the vectors, wherever an entry says that they must. */
import { describe, expect, it } from "vitest";
import { closeCodeName } from "./codes.ts";
import type { EntityKind, FieldSpec } from "./entities/wire.ts";
import { encodeArrive, encodeStreams } from "./messages/arrive.ts";
import { encodeClose, encodeReject } from "./messages/farewell.ts";
import { encodeEntities } from "./messages/entities.ts";
import { encodeFragment } from "./messages/fragment.ts";
import { encodeHello } from "./messages/hello.ts";
import { encodeJoin } from "./messages/join.ts";
import { encodeKinds } from "./messages/kinds.ts";
import { encodeMessage } from "./messages/message.ts";
import { encodeMove, encodePosition } from "./messages/move.ts";
import { encodePing, encodePong } from "./messages/ping.ts";
import { encodeAhead, encodeRedirect, encodeStay } from "./messages/redirect.ts";
import { encodeCancel, encodeRequest, encodeResponse } from "./messages/request.ts";
import { encodeAck, encodeResume, encodeResumed, encodeResumeToken } from "./messages/resume.ts";
import { encodeState } from "./messages/state.ts";
import { encodeWelcome } from "./messages/welcome.ts";
import { fromHex, toHex } from "./vectors/hex.ts";
import ahead from "./vectors/ahead.json" with { type: "json" };
import arrive from "./vectors/arrive.json" with { type: "json" };
import close from "./vectors/close.json" with { type: "json" };
import entities from "./vectors/entities.json" with { type: "json" };
import fragment from "./vectors/fragment.json" with { type: "json" };
import hello from "./vectors/hello.json" with { type: "json" };
import join from "./vectors/join.json" with { type: "json" };
import kinds from "./vectors/kinds.json" with { type: "json" };
import message from "./vectors/message.json" with { type: "json" };
import move from "./vectors/move.json" with { type: "json" };
import ping from "./vectors/ping.json" with { type: "json" };
import pong from "./vectors/pong.json" with { type: "json" };
import position from "./vectors/position.json" with { type: "json" };
import redirect from "./vectors/redirect.json" with { type: "json" };
import reject from "./vectors/reject.json" with { type: "json" };
import ack from "./vectors/ack.json" with { type: "json" };
import cancel from "./vectors/cancel.json" with { type: "json" };
import request from "./vectors/request.json" with { type: "json" };
import response from "./vectors/response.json" with { type: "json" };
import resume from "./vectors/resume.json" with { type: "json" };
import resumeToken from "./vectors/resume-token.json" with { type: "json" };
import resumed from "./vectors/resumed.json" with { type: "json" };
import state from "./vectors/state.json" with { type: "json" };
import stay from "./vectors/stay.json" with { type: "json" };
import streams from "./vectors/streams.json" with { type: "json" };
import welcome from "./vectors/welcome.json" with { type: "json" };

interface Entry<F> {
  readonly name: string;
  readonly hex: string;
  readonly fields: F;
  readonly encodes: boolean;
}

interface FarewellFields {
  readonly code: number;
  readonly retryAfterMs: number;
}

function suite<F>(
  file: { readonly message: string; readonly valid: readonly Entry<F>[] },
  encode: (fields: F) => Uint8Array,
): void {
  describe(`${file.message}.json`, () => {
    for (const entry of file.valid.filter((entry) => entry.encodes)) {
      it(`encodes ${entry.name}`, () => {
        expect(toHex(encode(entry.fields))).toBe(entry.hex);
      });
    }
  });
}

suite(hello, encodeHello);
suite(join, encodeJoin);
suite(welcome, encodeWelcome);
suite(reject, (fields) => encodeReject(codeOf(fields), fields.retryAfterMs));
suite(close, (fields) => encodeClose(codeOf(fields), fields.retryAfterMs));
suite(ping, encodePing);
suite(pong, encodePong);
suite(redirect, encodeRedirect);
suite(stay, encodeStay);
suite(ahead, encodeAhead);
suite(arrive, encodeArrive);
suite(streams, encodeStreams);
suite(move, encodeMove);
suite(position, encodePosition);
suite(kinds, ({ kinds: told }) => encodeKinds({ kinds: told.map(kindOf) }));
suite(entities, (fields) => encodeEntities({ ...fields, changes: fromHex(fields.changes) }));
suite(fragment, encodeFragment);
suite(message, (fields) => encodeMessage({ command: fields.command, payload: fromHex(fields.payload) }));
suite(state, (fields) => encodeState({ ...fields, payload: fromHex(fields.payload) }));
suite(request, (fields) => encodeRequest({ ...fields, payload: fromHex(fields.payload) }));
suite(response, (fields) => encodeResponse({ ...fields, payload: fromHex(fields.payload) }));
suite(cancel, encodeCancel);
suite(ack, encodeAck);
suite(resume, (fields) => encodeResume({ ...fields, token: fromHex(fields.token) }));
suite(resumed, encodeResumed);
suite(resumeToken, (fields) => encodeResumeToken({ ...fields, token: fromHex(fields.token) }));

function kindOf(kind: (typeof kinds)["valid"][number]["fields"]["kinds"][number]): EntityKind {
  return { ...kind, fields: kind.fields.map(fieldOf) };
}

/** JSON's types say no more than `string`. */
function fieldOf(field: { readonly name: string; readonly type: string }): FieldSpec {
  const { name, type } = field;
  if (type === "bytes") return { name, type, maxBytes: "maxBytes" in field ? Number(field.maxBytes) : 0 };
  for (const known of ["u8", "u16", "u32", "i16", "f32", "angle", "flags"] as const) {
    if (known === type) return { name, type: known };
  }
  throw new Error(`no type of field is called ${type}`);
}

function codeOf(fields: FarewellFields): NonNullable<ReturnType<typeof closeCodeName>> {
  const name = closeCodeName(fields.code);
  if (name === undefined) throw new Error(`${fields.code} has no name: it cannot be encoded`);
  return name;
}
