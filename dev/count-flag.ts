/** A whole number in a flag. @throws Error that says what the flag takes */
export function parseCount(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new Error(`--${flag} takes a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}
