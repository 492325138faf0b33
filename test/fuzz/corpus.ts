import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const folder = join(import.meta.dirname, "../../protocol/vectors");

const vectorFile = z.object({
  receivers: z.array(z.string()),
  valid: z.array(z.object({ hex: z.string() })),
  rejected: z.array(z.object({ hex: z.string() })),
});

/** Frames to begin from, each with its length: what the vectors hold, valid and rejected. */
export interface Corpus {
  /** What a joined client may send, and what it may not. */
  readonly fromClient: readonly Uint8Array[];
  readonly all: readonly Uint8Array[];
}

/** Reads the vectors of every message. */
export function readCorpus(): Corpus {
  const fromClient: Uint8Array[] = [];
  const all: Uint8Array[] = [];
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".json")) continue;
    const parsed = vectorFile.safeParse(JSON.parse(readFileSync(join(folder, name), "utf8")));
    if (!parsed.success) continue;
    const { receivers, valid, rejected } = parsed.data;
    for (const { hex } of [...valid, ...rejected]) {
      const frame = new Uint8Array(Buffer.from(hex, "hex"));
      if (frame.length < 3) continue;
      all.push(frame);
      if (receivers.includes("cluster")) fromClient.push(frame);
    }
  }
  if (fromClient.length === 0) throw new Error(`there are no vectors in ${folder}`);
  return { fromClient, all };
}
