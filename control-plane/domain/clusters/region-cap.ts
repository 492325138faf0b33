/** Most regions that one key may bring with it, beside those that the map names. */
export const maxRegionsPerKey = 8;

/** Most regions that the map does not name. Each costs every allocation a look at its shard. */
export const maxBroughtRegions = 64;

/** A region that clusters have brought with them, and the key of the first that did. */
export interface BroughtRegion {
  readonly region: string;
  readonly keyId: string;
}

/** Whether a cluster of the key may come with `region`. One that is known already costs nobody anything. */
export function admitsRegion(known: readonly BroughtRegion[], region: string, keyId: string): boolean {
  if (known.some((each) => each.region === region)) return true;
  if (known.length >= maxBroughtRegions) return false;
  return known.filter((each) => each.keyId === keyId).length < maxRegionsPerKey;
}
