/** A JSON schema, as far as the OpenAPI document of this master has them. */
export interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly allOf?: readonly SchemaNode[];
  readonly description?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** A piece of a shape: text as it is, or the name of another schema. */
export type ShapePiece = string | { readonly schema: string };

/** The shape that a schema describes, to be read by people: fields with their types, `?` for those that may be left out. */
export function shapeOf(node: SchemaNode, indent = ""): readonly ShapePiece[] {
  if (node.$ref !== undefined) return [{ schema: node.$ref.slice(node.$ref.lastIndexOf("/") + 1) }];
  if (node.const !== undefined) return [JSON.stringify(node.const)];
  if (node.enum !== undefined) return [node.enum.map((value) => JSON.stringify(value)).join(" | ")];
  const choices = node.anyOf ?? node.oneOf;
  if (choices !== undefined) return joined(choices, " | ", indent);
  if (node.allOf !== undefined) return joined(node.allOf, " & ", indent);
  if (node.properties !== undefined) return objectShape(node.properties, node.required ?? [], indent);
  if (node.items !== undefined) return ["[", ...shapeOf(node.items, indent), ", …]"];
  if (typeof node.additionalProperties === "object") {
    return ["{ [name]: ", ...shapeOf(node.additionalProperties, indent), " }"];
  }
  return [typeof node.type === "string" ? node.type : (node.type ?? ["anything"]).join(" | ")];
}

function joined(nodes: readonly SchemaNode[], between: string, indent: string): readonly ShapePiece[] {
  return nodes.flatMap((node, index) => [...(index === 0 ? [] : [between]), ...shapeOf(node, indent)]);
}

function objectShape(
  properties: Readonly<Record<string, SchemaNode>>,
  required: readonly string[],
  indent: string,
): readonly ShapePiece[] {
  const inner = `${indent}  `;
  const pieces: ShapePiece[] = ["{\n"];
  for (const [name, node] of Object.entries(properties)) {
    const remark = remarkOf(node);
    pieces.push(`${inner}${name}${required.includes(name) ? "" : "?"}: `, ...shapeOf(node, inner));
    pieces.push(remark === "" ? "\n" : `   // ${remark}\n`);
  }
  pieces.push(`${indent}}`);
  return pieces;
}

/** What a value has to be beside its type, and what it is for. */
export function remarkOf(node: SchemaNode): string {
  const size = boundsOf(node.minLength, node.maxLength, "characters");
  const count = boundsOf(node.minItems, node.maxItems, "entries");
  const value = boundsOf(node.minimum, node.maximum === Number.MAX_SAFE_INTEGER ? undefined : node.maximum, "");
  const pattern = node.pattern === undefined ? "" : `matches ${node.pattern}`;
  return [size, count, value, node.format ?? "", pattern, node.description ?? ""]
    .filter((part) => part !== "")
    .join("; ");
}

function boundsOf(least: number | undefined, most: number | undefined, unit: string): string {
  if (least === undefined && most === undefined) return "";
  const bounds =
    least === undefined ? `at most ${most}` : most === undefined ? `at least ${least}` : `${least} to ${most}`;
  return unit === "" ? bounds : `${bounds} ${unit}`;
}
