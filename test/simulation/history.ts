/**
 * The simulated game: a player's state is the list of what happened to it. `3A,` input 3 was applied at cluster A; `o2A,` output 2
 * was made there; `|,` the client started afresh. Inputs and outputs are numbered over the whole life of the player, so that the list
 * shows what is missing, doubled or out of order; the cluster's name tells apart two clusters that applied the same input.
 */
import type { History } from "./world.ts";

export const freshMark = "|,";

export function inputToken(body: History, cluster: string): History {
  return `${body}${cluster},`;
}

export function outputToken(body: History): History {
  return `${body},`;
}

export function outputBody(number: number, cluster: string): History {
  return `o${number}${cluster}`;
}

interface Read {
  readonly inputs: readonly number[];
  /** By the cluster that made them: what two clusters make at the same time has no order of its own. */
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly outputCount: number;
  /** The tokens of the outputs since the last fresh start. */
  readonly sinceFresh: History;
}

const known = new Map<History, Read>();

export function readHistory(history: History): Read {
  const before = known.get(history);
  if (before !== undefined) return before;
  const read = parseHistory(history);
  // Simulations with many worlds have few histories; those with long histories have few worlds.
  if (known.size > 10_000) known.clear();
  known.set(history, read);
  return read;
}

function parseHistory(history: History): Read {
  const inputs: number[] = [];
  const outputs: Record<string, number[]> = {};
  let outputCount = 0;
  let sinceFresh = "";
  for (const token of history.split(",")) {
    if (token === "") continue;
    if (token === "|") sinceFresh = "";
    else if (token.startsWith("o")) {
      const number = Number.parseInt(token.slice(1), 10);
      (outputs[token.slice(1 + String(number).length)] ??= []).push(number);
      outputCount += 1;
      sinceFresh += `${token},`;
    } else inputs.push(Number.parseInt(token, 10));
  }
  return { inputs, outputs, outputCount, sinceFresh };
}

/** Whether numbers rise; without `gaps`, by one from 1. */
export function isRising(numbers: readonly number[], gaps: boolean): boolean {
  return numbers.every((number, index) => {
    const before = numbers[index - 1] ?? 0;
    return gaps ? number > before : number === before + 1;
  });
}
