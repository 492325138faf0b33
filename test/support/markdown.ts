import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** A fenced block of code in a document. */
export interface CodeBlock {
  readonly document: string;
  /** As `sh`. */
  readonly language: string;
  /** What follows the language, for this project's own use: `accounts` needs accounts at other services, `long` takes minutes. */
  readonly mark: string;
  /** Without the fence and its indentation. */
  readonly code: string;
}

/** The blocks of a document of this project, in their order. */
export function codeBlocks(document: string): CodeBlock[] {
  const text = readFileSync(join(root, document), "utf8");
  return [...text.matchAll(/^( *)```(\w+)(?: +(\S+))?\n([\s\S]*?)^ *```$/gm)].map(
    ([, indent = "", language = "", mark = "", body = ""]) => {
      const code = body.replaceAll(new RegExp(`^${indent}`, "gm"), "");
      return { document, language, mark, code };
    },
  );
}
