/** Whole numbers from 0, below the one given. */
export type RandomBelow = (below: number) => number;

/** A generator (xorshift32) that gives the same numbers for the same seed. */
export function createRandom(seed: number): RandomBelow {
  let state = Math.imul(seed, 0x9e37_79b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Bytes at which things tend to break. */
const edges = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xf0, 0xfe, 0xff];
/** Little-endian doubles and floats that are not finite, or nearly so. */
const oddNumbers = ["000000000000f07f", "000000000000f8ff", "0000807f", "0000c0ff", "ffff7f7f", "01000000"];

/** One of a list that is not empty. */
export function pick<T>(random: RandomBelow, list: readonly T[]): T {
  const item = list[random(list.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

/** Changes a frame (with its length) in one to four places; most changes leave the length true, some make it lie. */
export function mutate(random: RandomBelow, frame: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  let body = [...frame.subarray(2)];
  for (let count = 1 + random(4); count > 0; count -= 1) body = change(random, body, others);
  const length = body.length > 0xffff ? 0xffff : body.length;
  const announced = random(8) === 0 ? pick(random, [0, 1, length - 1, length + 1, 256, 257, 4_097, 0xffff]) : length;
  return Uint8Array.of(announced & 0xff, (announced >> 8) & 0xff, ...body.slice(0, 0xffff));
}

function change(random: RandomBelow, body: readonly number[], others: readonly Uint8Array[]): number[] {
  const at = random(body.length + 1);
  const head = body.slice(0, at);
  const tail = body.slice(at);
  switch (random(8)) {
    case 0:
      return [...head, (tail[0] ?? 0) ^ (1 << random(8)), ...tail.slice(1)];
    case 1:
      return [...head, pick(random, edges), ...tail.slice(1)];
    case 2:
      return [...head, random(256), ...tail];
    case 3:
      return [...head, ...tail.slice(1 + random(4))];
    case 4:
      return head;
    case 5: {
      const number = [...Buffer.from(pick(random, oddNumbers), "hex")];
      return [...head, ...number, ...tail.slice(number.length)];
    }
    case 6: {
      const other = pick(random, others).subarray(2);
      return [...head, ...other.subarray(random(other.length + 1))];
    }
    default:
      return [...body, ...Array.from({ length: random(40) }, () => random(256))];
  }
}

/** Cuts bytes into pieces of random lengths. */
export function cut(random: RandomBelow, bytes: Uint8Array, longest: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random(longest);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}
