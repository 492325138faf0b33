import { expect, it } from "vitest";
import { admitsRegion, type BroughtRegion, maxBroughtRegions, maxRegionsPerKey } from "./region-cap.ts";

function brought(count: number, keyId: string): BroughtRegion[] {
  return Array.from({ length: count }, (_, index) => ({ region: `${keyId}-${index}`, keyId }));
}

it("[SEC-40] lets a key bring so many regions, and not one more", () => {
  expect(admitsRegion(brought(maxRegionsPerKey - 1, "a"), "new", "a")).toBe(true);
  expect(admitsRegion(brought(maxRegionsPerKey, "a"), "new", "a")).toBe(false);
  expect(admitsRegion(brought(maxRegionsPerKey, "a"), "new", "b")).toBe(true);
});

it("[SEC-40] lets all keys together bring so many, and not one more", () => {
  const regions = Array.from({ length: maxBroughtRegions }, (_, index) => ({
    region: `r${index}`,
    keyId: `k${index}`,
  }));
  expect(admitsRegion(regions.slice(1), "new", "a")).toBe(true);
  expect(admitsRegion(regions, "new", "a")).toBe(false);
});

it("[SEC-40] always admits to a region that is known", () => {
  const regions = brought(maxBroughtRegions, "a");
  expect(admitsRegion(regions, "a-0", "a")).toBe(true);
  expect(admitsRegion(regions, "a-0", "b")).toBe(true);
});
