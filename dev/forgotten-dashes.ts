/**
 * Flags that npm took for its own, as `npm start --players 5` has it do: it passes them on as variables of the environment.
 *
 * @param names the flags' names
 * @returns what to say, or `undefined` where none was forgotten
 */
export function forgottenDashes(
  script: string,
  names: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const taken = names.filter((name) => environment[`npm_config_${name.replaceAll("-", "_")}`] !== undefined);
  if (taken.length === 0) return undefined;
  const flags = taken.map((name) => `--${name}`).join(", ");
  return `npm keeps ${flags} for itself: put -- before, as in ${script} -- --${taken[0]} …`;
}
