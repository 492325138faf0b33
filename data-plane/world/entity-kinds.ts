import { type EntityKind, type FieldSpec, KindTable } from "../../protocol/index.ts";
import type { EntityFields, FieldKind } from "../plugin/entities.ts";

/** The kind of players' entities. [KINDS-3] */
export const playerKind = 0;
const playerName = "player";
/** Fields that every player's entity has, by their index. */
export const playerFields = { number: 0, heading: 1 } as const;

/** A kind, and where its fields are. */
export interface NamedKind {
  readonly id: number;
  readonly name: string;
  /** Index by name. */
  readonly fields: ReadonlyMap<string, number>;
}

/** The kinds of entity of a game. */
export interface NamedKinds {
  readonly table: KindTable;
  find(name: string): NamedKind | undefined;
  byId(id: number): NamedKind | undefined;
}

/**
 * Puts together what the plugins declare, in their order. What several say of one kind is added up; `player` adds to the fields
 * that players have anyway.
 *
 * @throws RangeError for two fields of one name, or kinds that the wire cannot carry
 */
export function createKinds(declarations: readonly Readonly<Record<string, EntityFields>>[]): NamedKinds {
  const fields = new Map<string, FieldSpec[]>([
    [
      playerName,
      [
        { name: "number", type: "u32" },
        { name: "heading", type: "angle" },
      ],
    ],
  ]);
  for (const declaration of declarations) {
    for (const [kind, declared] of Object.entries(declaration)) {
      const specs = fields.get(kind) ?? [];
      for (const [name, field] of Object.entries(declared)) specs.push(specOf(name, field));
      fields.set(kind, specs);
    }
  }
  const kinds = Array.from(fields, ([name, specs], id): EntityKind => ({ id, name, fields: specs }));
  const named = kinds.map(({ id, name, fields: specs }): NamedKind => ({
    id,
    name,
    fields: new Map(specs.map((spec, index) => [spec.name, index])),
  }));
  const names = new Map(named.map((kind) => [kind.name, kind]));
  return { table: new KindTable(kinds), find: (name) => names.get(name), byId: (id) => named[id] };
}

function specOf(name: string, field: FieldKind): FieldSpec {
  return typeof field === "string" ? { name, type: field } : { name, type: "bytes", maxBytes: field.bytes };
}
