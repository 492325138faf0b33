/** Runs view.json: whole histories of a view, in every runtime that this suite runs in. It imports no encoder of ENTITIES. */
import { describe, expect, it } from "vitest";
import { decodeClusterMessage } from "../decode.ts";
import { ProtocolError } from "../error.ts";
import { fromHex, toHex } from "../vectors/hex.ts";
import vectors from "../vectors/view.json" with { type: "json" };
import { KindTable } from "./kind-table.ts";
import { EntityView } from "./view.ts";
import { type EntityKind, type FieldSpec, type FieldType, fieldTypes } from "./wire.ts";

const kinds = new KindTable(
  vectors.kinds.map(({ id, name, fields }): EntityKind => ({ id, name, fields: fields.map(fieldOf) })),
);

describe("view.json", () => {
  for (const { name, rules, steps } of vectors.views) {
    it(`${rules.join()} ${name}`, () => {
      const view = new EntityView(kinds);
      for (const { hex, entities } of steps) {
        apply(view, hex);
        expect(shown(view)).toEqual(entities);
      }
    });
  }

  for (const { name, rules, frames } of vectors.rejected) {
    it(`${rules.join()} refuses ${name}`, () => {
      const view = new EntityView(kinds);
      for (const frame of frames.slice(0, -1)) apply(view, frame);
      expect(() => apply(view, frames.at(-1) ?? "")).toThrow(ProtocolError);
    });
  }
});

function apply(view: EntityView, hex: string): void {
  const message = decodeClusterMessage(fromHex(hex).subarray(2));
  if (message.type !== "entities") throw new Error(`${message.type} among the frames of a view`);
  view.apply(message);
}

function shown(view: EntityView): object[] {
  return Array.from(view.entities(), ({ number, kind, x, y, z, values, tick }) => {
    const plain = values.map((value) => (typeof value === "number" ? value : toHex(value)));
    return { number, kind: kind.name, x, y, z, values: plain, tick };
  });
}

function fieldOf(field: { readonly name: string; readonly type: string; readonly maxBytes?: number }): FieldSpec {
  const { name, type, maxBytes = 0 } = field;
  if (type === "bytes") return { name, type, maxBytes };
  if (isNumberType(type)) return { name, type };
  throw new Error(`no type of field is called ${type}`);
}

function isNumberType(type: string): type is Exclude<FieldType, "bytes"> {
  return type !== "bytes" && Object.hasOwn(fieldTypes, type);
}
