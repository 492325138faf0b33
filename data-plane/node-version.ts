/** The oldest Node that has all that a cluster and the command use; `engines` of the package says the same. */
export const oldestNode = "22.12.0";

/** What to say where this Node is too old; `undefined` where it is not. */
export function nodeFault(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldestNode.split(".").map(Number);
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined;
  return `Node ${oldestMajor}.${oldestMinor} or newer is needed: this is ${version}`;
}
