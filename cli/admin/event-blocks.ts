/** One server-sent event. */
export interface EventBlock {
  readonly id: string | undefined;
  readonly event: string;
  /** Parsed JSON. */
  readonly data: unknown;
}

/** An event that is longer is no event of the master's. */
const maxBlockChars = 65_536;

/** Puts server-sent events together from pieces, however they are cut. */
export class EventBlocks {
  readonly #decoder = new TextDecoder();
  #text = "";

  /** The events that are complete with this piece. @throws Error when one is too long */
  add(chunk: Uint8Array): EventBlock[] {
    this.#text += this.#decoder.decode(chunk, { stream: true });
    const parts = this.#text.split("\n\n");
    this.#text = parts.pop() ?? "";
    if (this.#text.length > maxBlockChars) throw new Error("an event is too long");
    return parts.map(parseBlock).filter((block) => block !== undefined);
  }
}

/** Comments, and events without data, are none. */
function parseBlock(text: string): EventBlock | undefined {
  const fields = new Map(
    text.split("\n").flatMap((line) => {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, value ?? ""] as const];
    }),
  );
  const data = fields.get("data");
  if (data === undefined) return undefined;
  try {
    return { id: fields.get("id"), event: fields.get("event") ?? "message", data: JSON.parse(data) };
  } catch {
    return undefined;
  }
}
