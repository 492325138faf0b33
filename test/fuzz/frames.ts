import { decodeClientMessage, decodeClusterMessage, FrameParser, ProtocolError } from "../../protocol/index.ts";
import type { Corpus } from "./corpus.ts";
import { createRandom, cut, mutate, pick, type RandomBelow } from "./mutation.ts";
import { type FuzzResult, type FuzzRun, isOver, Progress } from "./progress.ts";

/**
 * The frame parser and all decoders, in this process. Whatever the bytes: they are understood or refused with ProtocolError,
 * no frame is longer than allowed, and how the stream is cut makes no difference.
 */
export async function fuzzFrames(run: FuzzRun, corpus: Corpus): Promise<FuzzResult> {
  const progress = new Progress("frames", run);
  let seed = run.seed;
  while (!isOver(run, progress.frames)) {
    for (let round = 0; round < 1_000; round += 1) {
      seed = (seed + 1) | 0;
      const fault = examine(createRandom(seed), corpus, progress);
      if (fault !== undefined) return progress.result(`seed ${seed}: ${fault}`);
    }
    progress.show();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return progress.result(undefined);
}

/** One stream; what is wrong, if anything is. */
function examine(random: RandomBelow, corpus: Corpus, progress: Progress): string | undefined {
  const stream = Buffer.concat(
    Array.from({ length: 1 + random(6) }, () => {
      const frame = pick(random, corpus.all);
      return random(3) === 0 ? frame : mutate(random, frame, corpus.all);
    }),
  );
  const limit = pick(random, [256, 4_096, 16_384, 65_535, 1 + random(300)]);
  const whole = outcome([stream], limit);
  const pieces = outcome(cut(random, stream, 1 + random(40)), limit);
  progress.count(whole.frames, whole.refused);
  if (whole.fault !== undefined) return `${whole.fault}, in ${stream.toString("hex")} with limit ${limit}`;
  if (whole.text !== pieces.text) return `cut otherwise, it differs: ${stream.toString("hex")} with limit ${limit}`;
  return undefined;
}

interface Outcome {
  readonly frames: number;
  readonly refused: number;
  /** Everything that came out, to be compared. */
  readonly text: string;
  readonly fault: string | undefined;
}

function outcome(pieces: readonly Uint8Array[], limit: number): Outcome {
  const parser = new FrameParser(limit);
  let frames = 0;
  let refused = 0;
  let fault: string | undefined;
  const seen: string[] = [];
  try {
    for (const piece of pieces) {
      parser.push(piece, (frame) => {
        frames += 1;
        if (frame.length < 1 || frame.length > limit) fault = `a frame of ${frame.length} bytes`;
        for (const decode of [decodeClientMessage, decodeClusterMessage]) {
          const code = codeOf(() => decode(frame));
          if (code === "DECODED") continue;
          refused += 1;
          seen.push(code);
        }
        seen.push(String(frame.length));
        return true;
      });
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) fault = `threw ${error instanceof Error ? error.stack : "no error"}`;
    else {
      frames += 1;
      refused += 1;
      seen.push(error.code);
    }
  }
  return { frames, refused, text: seen.join(), fault };
}

function codeOf(decode: () => unknown): string {
  try {
    decode();
    return "DECODED";
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}
